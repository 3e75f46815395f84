"""Who we are, in the words of the standards; and what is read of answers."""

import base64
from datetime import UTC, datetime

import pytest

from actors.core.times import to_us
from edge.sources.bounded_xml import parse
from edge.sources.onvif import soap
from edge.sources.onvif.http_digest import DigestChallenge, answer, challenge
from tests.support.servers.onvif_device import enveloped


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_digest_of_rfc_7616(algorithm: str, response: str) -> None:
    asked = challenge(
        [
            f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, '
            'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
            'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
        ]
    )
    assert asked is not None
    once = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    login = ("Mufasa", "Circle of Life")
    said = answer(asked, "/dir/index.html", login, once, 1, method="GET")
    assert f'response="{response}"' in said
    assert "nc=00000001" in said


@pytest.mark.parametrize(
    ("offers", "wanted"),
    [
        (['Digest realm="a", nonce="b"'], DigestChallenge("a", "b")),
        (
            ['Digest realm="a", nonce="b"', 'Digest realm="a", nonce="c", algorithm=SHA-256'],
            DigestChallenge("a", "c", "SHA-256"),
        ),
        (['Basic realm="a"'], None),
        (['Digest realm="a", nonce="b", qop="auth-int"'], None),
        (['Digest realm="a", nonce="b", algorithm=MD5-sess'], None),
        (['Digest realm="a\r", nonce="b"'], None),
        (["Digest"], None),
    ],
)
def test_which_challenge_is_answered(offers: list[str], wanted: DigestChallenge | None) -> None:
    assert challenge(offers) == wanted


def test_the_token_of_the_application_programmers_guide() -> None:
    nonce = base64.b64decode("LKqI6G/AikKCQrN0zqZFlg==")
    moment = to_us(datetime(2010, 9, 16, 7, 50, 45, tzinfo=UTC))
    said = soap.user_token("user", "userpassword", nonce, moment)
    assert ">tuOSpGlFlIXsozq4HFNeeGeFLEI=<" in said
    assert ">2010-09-16T07:50:45Z<" in said


def test_an_envelope_is_xml_whatever_stands_in_it() -> None:
    token = soap.user_token('a<"&', "b", b"once", 1)
    sent = parse(soap.envelope(soap.TIME, "http://a/?b=1&c=<d>", token))
    assert [one.text for one in sent.all("Header", "To")] == ["http://a/?b=1&c=<d>"]
    assert [one.text for one in sent.under("Username")] == ['a<"&']


def test_the_parameters_of_a_subscription_come_back_as_they_came() -> None:
    made = parse(
        enveloped(
            "<tev:X><tev:SubscriptionReference><a:Address>http://a/b</a:Address>"
            '<a:ReferenceParameters><d:Id xmlns:d="urn:&quot;d">&lt;7</d:Id>'
            "</a:ReferenceParameters></tev:SubscriptionReference></tev:X>"
        )
    )
    found = soap.subscription(made)
    assert found is not None
    sent = parse(soap.envelope(soap.SYNCHRONIZE, found.address, "", found.parameters))
    (back,) = sent.under("Id")
    assert (back.space, back.text) == ('urn:"d', "<7")


def test_faults_of_both_soaps() -> None:
    fault = "<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>ter:NotAuthorized"
    fault += "</s:Value></s:Subcode></s:Code><s:Reason><s:Text>no</s:Text></s:Reason></s:Fault>"
    said = soap.fault(parse(enveloped(fault)))
    assert said == "NotAuthorized: no"
    assert soap.is_refusal(said)
    old = "<s:Fault><faultcode>s:Server</faultcode><faultstring>busy</faultstring></s:Fault>"
    assert soap.fault(parse(enveloped(old))) == "Server: busy"
    assert soap.fault(parse(enveloped(""))) is None

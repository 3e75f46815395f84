# For `opa test`: the cases of authz_cases_test.rego against the policy.
package eyrie.authz_test

import data.eyrie.authz
import data.eyrie.authz_cases

wrong contains case.name if {
	some case in authz_cases.cases
	allow := authz.allow with input as case.input
	allow != case.allow
}

wrong contains case.name if {
	some case in authz_cases.cases
	reason := authz.reason with input as case.input
	reason != case.reason
}

wrong contains case.name if {
	some case in authz_cases.obligations
	redact := authz.redact with input as case.input
	redact != {class | some class in case.redact}
}

wrong contains case.name if {
	some case in authz_cases.obligations
	rate := authz.max_hz with input as case.input
	rate != case.max_hz
}

test_cases if count(wrong) == 0

test_there_are_cases if count(authz_cases.cases) > 50

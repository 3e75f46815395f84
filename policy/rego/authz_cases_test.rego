# Decisions that must come out as written, for every engine. Data alone: the embedded engine cannot run `with`.
package eyrie.authz_cases

user(roles, sites, cameras, scopes) := {"typ": "user", "roles": roles, "sites": sites, "cameras": cameras, "scopes": scopes}

edge(sites, cameras) := {"typ": "edge", "roles": [], "sites": sites, "cameras": cameras, "scopes": []}

viewer := user(["viewer"], ["north"], null, [])

operator := user(["operator"], ["north"], null, ["plates:read"])

admin := user(["admin"], ["*"], null, [])

privacy := user(["privacy"], ["*"], null, ["pii:read"])

ingester := {"typ": "service", "roles": ["ingester"], "sites": ["north"], "cameras": null, "scopes": []}

gate := camera("north", "gate", [])

dock := camera("south", "dock", [])

camera(site, id, tags) := {"kind": "camera", "site": site, "camera": id, "tags": tags}

ask(action, subject, resource) := {"action": action, "subject": subject, "resource": resource, "context": {}}

ask_for(action, subject, resource, purpose) := {
	"action": action,
	"subject": subject,
	"resource": resource,
	"context": {"purpose": purpose},
}

all_classes := ["faces", "names", "plates"]

case(name, input_, allow, reason) := {"name": name, "input": input_, "allow": allow, "reason": reason}

cases := array.concat(allowed, refused)

allowed := [
	case("viewer connects", ask("connect", viewer, {"kind": "dashboard"}), true, "allowed"),
	case("viewer watches a camera of the site", ask("subscribe", viewer, gate), true, "allowed"),
	case("viewer watches the wall of the site", ask("subscribe", viewer, {"kind": "site", "site": "north"}), true, "allowed"),
	case("viewer reads history", ask("history", viewer, gate), true, "allowed"),
	case("viewer with cameras watches one of them", ask("subscribe", user(["viewer"], ["north"], ["gate"], []), gate), true, "allowed"),
	case("cameras without a site are enough", ask("subscribe", user(["viewer"], [], ["gate"], []), gate), true, "allowed"),
	case("own notices", ask("subscribe", viewer, {"kind": "user", "own": true}), true, "allowed"),
	case("guest watches", ask("subscribe", user(["guest"], ["north"], null, []), gate), true, "allowed"),
	case("operator publishes", ask("publish", operator, gate), true, "allowed"),
	case("operator replays a dead letter", ask("deadletter.replay", operator, gate), true, "allowed"),
	case("operator acknowledges an alert", ask("alert.operate", operator, gate), true, "allowed"),
	case("operator discards a dead letter", ask("deadletter.discard", operator, gate), true, "allowed"),
	case("admin changes a camera", ask("registry.write", admin, gate), true, "allowed"),
	case("admin changes a site", ask("registry.write", admin, {"kind": "site", "site": "north"}), true, "allowed"),
	case("admin handles what names no camera", ask("deadletter.discard", admin, {"kind": "fleet"}), true, "allowed"),
	case("admin watches the fleet", ask("subscribe", admin, {"kind": "fleet"}), true, "allowed"),
	case("admin registers a camera", ask("register", admin, dock), true, "allowed"),
	case("admin drains a node", ask("cluster.operate", admin, {"kind": "cluster"}), true, "allowed"),
	case("privacy officer changes the policy", ask("policy.change", privacy, {"kind": "policy"}), true, "allowed"),
	case("two roles add up", ask("cluster.read", user(["viewer", "admin"], ["*"], null, []), {"kind": "cluster"}), true, "allowed"),
	case("operator of all sites drains a node", ask("cluster.operate", user(["operator"], ["*"], null, []), {"kind": "cluster"}), true, "allowed"),
	case("operator of all sites replays a job", ask("job.operate", user(["operator"], ["*"], null, []), {"kind": "cluster"}), true, "allowed"),
	case("operator of all sites pauses a sink", ask("sink.operate", user(["operator"], ["*"], null, []), {"kind": "sink"}), true, "allowed"),
	case("admin of all sites makes a sink", ask("sink.change", user(["admin"], ["*"], null, []), {"kind": "sink"}), true, "allowed"),
	case("operator of no site drains a node", ask("cluster.operate", user(["operator"], [], null, []), {"kind": "cluster"}), true, "allowed"),
	case("privacy officer asks for an erasure", ask("privacy.request", user(["privacy"], ["*"], null, []), {"kind": "privacy"}), true, "allowed"),
	case("auditor reads the audit log", ask("audit.read", user(["auditor"], [], null, []), {"kind": "audit"}), true, "allowed"),
	case("auditor whose home is one site reads decisions", ask("policy.read", user(["auditor"], ["north"], null, []), {"kind": "policy"}), true, "allowed"),
	case("policy admin changes the policy", ask("policy.change", user(["policy-admin"], [], null, []), {"kind": "policy"}), true, "allowed"),
	case("edge connects", ask("connect", edge(["north"], null), {"kind": "edge"}), true, "allowed"),
	case("edge sends its camera", ask("ingest", edge(["north"], ["gate"]), gate), true, "allowed"),
	case("site gateway sends any camera of the site", ask("ingest", edge(["north"], null), gate), true, "allowed"),
	case("edge bound by cameras alone", ask("ingest", edge([], ["gate"]), gate), true, "allowed"),
	case("edge registers its camera", ask("register", edge(["north"], ["gate"]), gate), true, "allowed"),
	case("edge sends a restricted camera", ask("ingest", edge(["north"], null), camera("north", "gate", ["restricted"])), true, "allowed"),
	case("service ingests", ask("ingest", ingester, gate), true, "allowed"),
	case("restricted camera with the scope", ask("subscribe", user(["viewer"], ["*"], null, ["restricted:read"]), camera("north", "gate", ["restricted"])), true, "allowed"),
	case("camera with a purpose, for that purpose", ask_for("subscribe", viewer, camera("north", "gate", ["purpose:safety"]), "safety"), true, "allowed"),
]

refused := [
	case("no role", ask("connect", user([], ["*"], null, []), {"kind": "dashboard"}), false, "no_role"),
	case("unknown role", ask("connect", user(["root"], ["*"], null, []), {"kind": "dashboard"}), false, "no_role"),
	case("unknown action", ask("fly", admin, gate), false, "no_role"),
	case("no action", {"subject": admin, "resource": gate}, false, "no_role"),
	case("nothing at all", {}, false, "no_role"),
	case("unknown resource", ask("subscribe", admin, {"kind": "moon"}), false, "out_of_scope"),
	case("no resource", {"action": "subscribe", "subject": admin}, false, "out_of_scope"),
	case("another site", ask("subscribe", viewer, dock), false, "out_of_scope"),
	case("the wall of another site", ask("subscribe", viewer, {"kind": "site", "site": "south"}), false, "out_of_scope"),
	case("a site called star", ask("subscribe", viewer, {"kind": "site", "site": "*"}), false, "out_of_scope"),
	case("the fleet with one site", ask("subscribe", viewer, {"kind": "fleet"}), false, "out_of_scope"),
	case("a camera not listed", ask("subscribe", user(["viewer"], ["north"], ["yard"], []), gate), false, "out_of_scope"),
	case("a wall with listed cameras", ask("subscribe", user(["viewer"], ["north"], ["gate"], []), {"kind": "site", "site": "north"}), false, "out_of_scope"),
	case("the fleet with listed cameras", ask("subscribe", user(["viewer"], ["*"], ["gate"], []), {"kind": "fleet"}), false, "out_of_scope"),
	case("no sites", ask("subscribe", user(["viewer"], [], null, []), gate), false, "out_of_scope"),
	case("empty camera list", ask("subscribe", user(["viewer"], ["*"], [], []), gate), false, "out_of_scope"),
	case("notices of somebody else", ask("subscribe", admin, {"kind": "user", "own": false}), false, "out_of_scope"),
	case("guest reads history", ask("history", user(["guest"], ["*"], null, []), gate), false, "no_role"),
	case("viewer publishes", ask("publish", viewer, gate), false, "no_role"),
	case("viewer replays a dead letter", ask("deadletter.replay", viewer, gate), false, "no_role"),
	case("viewer acknowledges an alert", ask("alert.operate", viewer, gate), false, "no_role"),
	case("operator handles what names no camera", ask("deadletter.discard", operator, {"kind": "fleet"}), false, "out_of_scope"),
	case("operator changes a camera", ask("registry.write", operator, gate), false, "no_role"),
	case("admin of one site changes another", ask("registry.write", user(["admin"], ["south"], null, []), {"kind": "site", "site": "north"}), false, "out_of_scope"),
	case("admin of one camera changes its site", ask("registry.write", user(["admin"], ["north"], ["gate"], []), {"kind": "site", "site": "north"}), false, "out_of_scope"),
	case("admin without the scope changes a restricted camera", ask("registry.write", admin, camera("north", "gate", ["restricted"])), false, "denied_by_rule"),
	case("operator registers", ask("register", operator, gate), false, "no_role"),
	case("operator of one site drains a node", ask("cluster.operate", operator, {"kind": "cluster"}), false, "out_of_scope"),
	case("operator of one site reads jobs", ask("job.read", operator, {"kind": "cluster"}), false, "out_of_scope"),
	case("operator of one site reads sinks", ask("sink.read", operator, {"kind": "sink"}), false, "out_of_scope"),
	case("operator of no site reads sinks", ask("sink.read", user(["operator"], [], null, []), {"kind": "sink"}), false, "out_of_scope"),
	case("admin of one site makes a sink", ask("sink.change", user(["admin"], ["north"], null, []), {"kind": "sink"}), false, "out_of_scope"),
	case("admin of one camera reads sinks", ask("sink.read", user(["admin"], ["*"], ["gate"], []), {"kind": "sink"}), false, "out_of_scope"),
	case("operator of all sites makes a sink", ask("sink.change", user(["operator"], ["*"], null, []), {"kind": "sink"}), false, "no_role"),
	case("viewer of all sites reads sinks", ask("sink.read", user(["viewer"], ["*"], null, []), {"kind": "sink"}), false, "no_role"),
	case("viewer of all sites reads jobs", ask("job.read", user(["viewer"], ["*"], null, []), {"kind": "cluster"}), false, "no_role"),
	case("operator of one camera drains a node", ask("cluster.operate", user(["operator"], [], ["gate"], []), {"kind": "cluster"}), false, "out_of_scope"),
	case("admin of one site reads the cluster", ask("cluster.read", user(["admin"], ["north"], null, []), {"kind": "cluster"}), false, "out_of_scope"),
	case("admin of no site reads the cluster", ask("cluster.read", user(["admin"], [], null, []), {"kind": "cluster"}), false, "out_of_scope"),
	case("admin of one site who audits drains a node", ask("cluster.operate", user(["admin", "auditor"], ["north"], null, []), {"kind": "cluster"}), false, "out_of_scope"),
	case("privacy officer of one site changes the policy", ask("policy.change", user(["privacy"], ["north"], null, []), {"kind": "policy"}), false, "out_of_scope"),
	case("privacy officer of one site asks for an erasure", ask("privacy.request", user(["privacy"], ["north"], null, []), {"kind": "privacy"}), false, "out_of_scope"),
	case("admin approves an erasure", ask("privacy.approve", admin, {"kind": "privacy"}), false, "no_role"),
	case("privacy officer of one site reads the audit log", ask("audit.read", user(["privacy"], ["north"], null, []), {"kind": "audit"}), false, "out_of_scope"),
	case("privacy officer of one camera reads the audit log", ask("audit.read", user(["privacy"], ["*"], ["gate"], []), {"kind": "audit"}), false, "out_of_scope"),
	case("auditor changes the policy", ask("policy.change", user(["auditor"], ["*"], null, []), {"kind": "policy"}), false, "no_role"),
	case("auditor watches a camera", ask("subscribe", user(["auditor"], ["*"], null, []), gate), false, "no_role"),
	case("policy admin drains a node", ask("cluster.operate", user(["policy-admin"], ["*"], null, []), {"kind": "cluster"}), false, "no_role"),
	case("admin changes the policy", ask("policy.change", admin, {"kind": "policy"}), false, "no_role"),
	case("privacy officer drains a node", ask("cluster.operate", privacy, {"kind": "cluster"}), false, "no_role"),
	case("edge on a dashboard", ask("connect", edge(["*"], null), {"kind": "dashboard"}), false, "denied_by_rule"),
	case("edge subscribes", ask("subscribe", edge(["*"], null), gate), false, "no_role"),
	case("edge with a role that it may not have", ask("subscribe", {"typ": "edge", "roles": ["admin"], "sites": ["*"], "cameras": null, "scopes": []}, gate), false, "no_role"),
	case("edge sends another camera", ask("ingest", edge(["north"], ["yard"]), gate), false, "out_of_scope"),
	case("edge sends another site's camera", ask("ingest", edge(["north"], null), dock), false, "out_of_scope"),
	case("edge sends its camera on another site", ask("ingest", edge(["north"], ["dock"]), dock), false, "out_of_scope"),
	case("edge without anything", ask("ingest", edge([], null), gate), false, "out_of_scope"),
	case("user ingests with a role for it", ask("ingest", user(["ingester"], ["*"], null, []), gate), false, "denied_by_rule"),
	case("restricted camera", ask("subscribe", admin, camera("north", "gate", ["restricted"])), false, "denied_by_rule"),
	case("camera with a purpose, without one", ask("subscribe", admin, camera("north", "gate", ["purpose:safety"])), false, "denied_by_rule"),
	case("camera with a purpose, for another", ask_for("subscribe", admin, camera("north", "gate", ["purpose:safety"]), "traffic"), false, "denied_by_rule"),
	case("roles as a text", ask("connect", user("viewer", ["*"], null, []), {"kind": "dashboard"}), false, "no_role"),
	case("sites as a text", ask("subscribe", user(["viewer"], "north", null, []), gate), false, "out_of_scope"),
	case("true as a text", ask("subscribe", viewer, {"kind": "user", "own": "true"}), false, "out_of_scope"),
]

# What an allowed one must carry with it.
obligations := [
	{"name": "viewer sees no personal data", "input": ask("subscribe", viewer, gate), "redact": all_classes, "max_hz": null},
	{"name": "a scope opens one class", "input": ask("subscribe", operator, gate), "redact": ["faces", "names"], "max_hz": null},
	{"name": "pii:read opens all", "input": ask("subscribe", privacy, gate), "redact": [], "max_hz": null},
	{"name": "admin is no reason to see faces", "input": ask("history", admin, gate), "redact": all_classes, "max_hz": null},
	{"name": "guests get a calm picture", "input": ask("subscribe", user(["guest"], ["*"], null, []), gate), "redact": all_classes, "max_hz": 1},
	{"name": "a second role lifts the calm", "input": ask("subscribe", user(["guest", "viewer"], ["*"], null, []), gate), "redact": all_classes, "max_hz": null},
	{"name": "edge hears what it sent", "input": ask("ingest", edge(["*"], null), gate), "redact": [], "max_hz": null},
]

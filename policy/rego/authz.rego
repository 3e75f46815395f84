# Who may do what in Eyrie. Default deny, deny wins, and no answer ever holds a string of the question.
#
# Entrypoints: eyrie/authz/allow (boolean), reason (one constant), redact (set of classes), max_hz (number or null).
# valid_until (null or seconds since 1970: what is decided holds no longer).
# input: {action, subject: {typ, roles, sites, cameras, scopes}, resource: {kind, site, camera, tags, own}, context: {purpose},
#         now (whole seconds since 1970)}
package eyrie.authz

default allow := false

allow if {
	granted
	in_scope
	count(deny) == 0
}

# ---- RBAC: what a role may do somewhere

default granted := false

granted if {
	input.subject.typ in {"user", "service"}
	some role in input.subject.roles
	input.action in grants[role]
}

granted if {
	input.subject.typ == "edge"
	input.action in {"connect", "ingest", "register"}
}

looking := {"connect", "subscribe"}

reading := looking | {"history", "presence", "registry.read"}

operating := {"publish", "alert.operate", "deadletter.read", "deadletter.replay", "deadletter.discard"}

clustering := {"cluster.read", "cluster.operate", "job.read", "job.operate"}

sinking := {"sink.read", "sink.operate"}

running := ({"register", "registry.write", "sink.change"} | clustering) | sinking

ruling := {"policy.read", "policy.change", "audit.read", "token.revoke"}

# Values of data subjects: an erasure is approved by another person than who asked for it.
subjects := {"privacy.read", "privacy.request", "privacy.approve", "privacy.hold"}

# Roles about the deployment and nothing else: no site limits them.
overall := {
	"auditor": {"policy.read", "audit.read"},
	"policy-admin": {"policy.read", "policy.change", "token.revoke"},
}

# docs/policy.md lists them; a test holds it to this.
grants := {
	"guest": looking,
	"viewer": reading,
	"operator": (((reading | operating) | clustering) | sinking),
	"admin": ((reading | operating) | running),
	"privacy": ((reading | ruling) | subjects),
	"ingester": {"ingest", "register"},
	"auditor": overall.auditor,
	"policy-admin": overall["policy-admin"],
}

# ---- ABAC: where it may do it

default in_scope := false

# To connect belongs to no site.
in_scope if input.resource.kind in {"dashboard", "edge"}

# What belongs to the whole deployment: for tokens that are limited to no site or camera,
deployment := {"cluster", "policy", "audit", "privacy", "sink"}

in_scope if {
	input.resource.kind in deployment
	"*" in input.subject.sites
	input.subject.cameras == null
}

# for roles about nothing else,
in_scope if {
	input.resource.kind in deployment
	some role in input.subject.roles
	input.action in overall[role]
}

# and, of the cluster, for an operator who is given no sites.
in_scope if {
	input.resource.kind == "cluster"
	"operator" in input.subject.roles
	input.action in clustering
	input.subject.sites == []
	input.subject.cameras == null
}

# A camera, or what hangs on it: its site and, where the token lists cameras, the camera itself.
in_scope if {
	input.resource.kind == "camera"
	site_covered
	camera_covered
}

# A token that lists cameras and no site is bound by the cameras alone.
in_scope if {
	input.resource.kind == "camera"
	input.subject.sites == []
	input.resource.camera in input.subject.cameras
}

# A site's wall or events show every camera of it: not for a token that lists cameras.
in_scope if {
	input.resource.kind == "site"
	site_covered
	input.subject.cameras == null
}

in_scope if {
	input.resource.kind == "fleet"
	"*" in input.subject.sites
	input.subject.cameras == null
}

# Personal notices: only one's own.
in_scope if {
	input.resource.kind == "user"
	input.resource.own == true
}

site_covered if "*" in input.subject.sites

site_covered if input.resource.site in input.subject.sites

camera_covered if input.subject.cameras == null

camera_covered if input.resource.camera in input.subject.cameras

# ---- denials win over every grant

deny contains "edge_token" if {
	input.subject.typ == "edge"
	input.resource.kind == "dashboard"
}

deny contains "user_token" if {
	input.subject.typ == "user"
	input.action == "ingest"
}

deny contains "restricted_camera" if {
	input.action != "ingest"
	"restricted" in input.resource.tags
	not "restricted:read" in input.subject.scopes
}

deny contains "purpose" if {
	some tag, purpose in purposes
	tag in input.resource.tags
	input.action in {"subscribe", "history", "publish"}
	not input.context.purpose == purpose
}

# A camera with such a tag is shown for this purpose only.
purposes := {"purpose:safety": "safety", "purpose:traffic": "traffic"}

# A camera with this tag is shown by day only: from 06:00 to 20:00 UTC.
by_day := "hours:day"

opens := 21600

closes := 72000

deny contains "hours" if {
	by_day in input.resource.tags
	input.action in {"subscribe", "history"}
	not daytime
}

second := input.now % 86400

daytime if {
	second >= opens
	second < closes
}

default valid_until := null

valid_until := (input.now - second) + opens if {
	by_day in input.resource.tags
	second < opens
}

valid_until := (input.now - second) + closes if {
	by_day in input.resource.tags
	daytime
}

valid_until := ((input.now - second) + 86400) + opens if {
	by_day in input.resource.tags
	second >= closes
}

# ---- why, in words of ours

default reason := "denied"

reason := "allowed" if {
	allow
} else := "denied_by_rule" if {
	count(deny) > 0
} else := "no_role" if {
	not granted
} else := "out_of_scope" if {
	not in_scope
}

# ---- obligations

# Attribute classes that nobody sees without the scope for it.
redact contains class if {
	some class in {"faces", "names", "plates"}
	not sees_all
	not may_see[class]
}

default sees_all := false

sees_all if "pii:read" in input.subject.scopes

sees_all if input.subject.typ == "edge"

may_see contains class if {
	some class, scope in {"faces": "faces:read", "names": "names:read", "plates": "plates:read"}
	scope in input.subject.scopes
}

default max_hz := null

# Guests get a calm picture.
max_hz := 1 if only_guest

default only_guest := false

only_guest if input.subject.roles == ["guest"]

#!/bin/sh
# Builds the image of deploy/Dockerfile without a registry of images, and writes its id to deploy/.env for the compose file.
#
# Needs: root, Docker, debootstrap, and dist/*.whl (make wheel). SUITE is the release of Debian (default bookworm: Python 3.11), DIST where
# wheels are looked for, ENV_FILE where the id goes. The base is made of signed Debian packages by debootstrap; wheels are fetched in it, so
# that they fit its Python, with the certificates that this machine trusts, and only those whose hashes are locked are taken.
set -eu
cd "$(dirname "$0")/.."
suite=${SUITE:-bookworm}
env_file=${ENV_FILE:-deploy/.env}
ls dist/eyrie-*.whl >/dev/null 2>&1 || { echo "there is no dist/eyrie-*.whl: make wheel" >&2; exit 1; }

base=${BASE:-$(docker image ls --no-trunc --quiet "eyrie-base:$suite")}
if [ -z "$base" ]; then
    root=$(mktemp -d)
    trap 'rm -rf "$root"' EXIT
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates,procps,libatomic1 "$suite" "$root" >&2
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
    base=$(tar --create --directory "$root" . | docker import - "eyrie-base:$suite")
fi

mkdir -p dist/wheels
docker run --rm --network host --env PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
    --volume /etc/ssl/certs:/etc/ssl/certs:ro --volume /usr/share/ca-certificates:/usr/share/ca-certificates:ro \
    --volume /usr/local/share/ca-certificates:/usr/local/share/ca-certificates:ro \
    --volume "$PWD/requirements/run.lock:/run.lock:ro" --volume "$PWD/dist/wheels:/wheels" "$base" sh -euc '
        python3 -m venv /tmp/fetch
        /tmp/fetch/bin/pip download --disable-pip-version-check --quiet --require-hashes --only-binary :all: --find-links /wheels \
            --requirement /run.lock --dest /wheels'

id_file=$(mktemp)
docker build --network none --build-arg "BASE=$base" --file deploy/Dockerfile --iidfile "$id_file" .
image=$(cat "$id_file")
rm -f "$id_file"
printf 'COMPOSE_PROJECT_NAME=eyrie\nEYRIE_IMAGE=%s\n' "$image" >"$env_file"
echo "$image"

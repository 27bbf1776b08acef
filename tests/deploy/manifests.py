"""What deploy/ and the release workflow say of themselves and of the program, kept true.

    python tests/deploy/manifests.py target/debug/rasta-stream

The manifests are held against Kubernetes' own schemas and against each other, for what must fit together
stands in several files. It starts nothing: nginx's files are run by tests/deploy/nginx.
"""

import re
import subprocess
import sys
import traceback
from pathlib import Path

import kubernetes_validate
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
OLDEST, NEWEST = "1.30", "1.37"
# What the program may take after DRAIN_SECONDS: its viewers read the end, and Redis is told.
MARGIN = 20
# To Redis, without the program's naming them.
SENT_BY_THE_CLIENT = {"AUTH", "HELLO", "SELECT", "MULTI", "EXEC", "SUBSCRIBE", "UNSUBSCRIBE"}

manifests = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
routes = (ROOT / "src/routes/mod.rs").read_text()
nginx = {path.name: path.read_text() for path in (DEPLOY / "nginx").iterdir()}
program_help = subprocess.run([sys.argv[1], "--help"], check=True, stdout=subprocess.PIPE, text=True).stdout


def one(kind):
    (found,) = [manifest for manifest in manifests if manifest["kind"] == kind]
    return found


def pod():
    return one("Deployment")["spec"]["template"]["spec"]


def replicas_of_compose():
    return [service for service in compose["services"].values() if service["image"] == "rasta-stream"]


def the_manifests_fit_the_schemas_of_kubernetes():
    for version in (OLDEST, NEWEST):
        for manifest in manifests:
            kubernetes_validate.validate(manifest, version, strict=True)


def a_pod_has_time_to_drain():
    (container,) = pod()["containers"]
    drain = int(one("ConfigMap")["data"]["DRAIN_SECONDS"])
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod()["terminationGracePeriodSeconds"] >= pause + drain + MARGIN


def a_container_of_compose_has_time_to_drain():
    for replica in replicas_of_compose():
        grace = replica["stop_grace_period"]
        assert int(grace.removesuffix("s")) >= int(replica["environment"]["DRAIN_SECONDS"]) + MARGIN, grace


def probes_ask_for_routes_that_exist():
    (container,) = pod()["containers"]
    for probe, path in (("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
        get = container[probe]["httpGet"]
        assert (get["path"], get["port"]) == (path, "http"), probe
        assert f'web::resource("{path}")' in routes, path
    # While it drains, a pod that is no longer ready must not be taken for dead.
    assert container["livenessProbe"]["httpGet"]["path"] != container["readinessProbe"]["httpGet"]["path"]


def every_setting_is_one_of_the_program():
    names = set(one("ConfigMap")["data"]) | set(one("Secret")["stringData"])
    for replica in replicas_of_compose():
        names |= set(replica["environment"])
    known = set(re.findall(r"\[env: (\w+)", program_help))
    unknown = sorted(names - known)
    assert not unknown, f"not settings of the program: {unknown}"


def selectors_find_the_pods_and_ports_have_one_name():
    labels = one("Deployment")["spec"]["template"]["metadata"]["labels"]
    (container,) = pod()["containers"]
    port, metrics = container["ports"]
    assert one("ConfigMap")["data"]["METRICS_ADDR"] == f"0.0.0.0:{metrics['containerPort']}"
    assert f"EXPOSE {port['containerPort']}" in (ROOT / "Dockerfile").read_text()
    service = one("Service")["spec"]
    assert service["ports"][0]["targetPort"] == port["name"]
    backend = one("Ingress")["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert backend == {"name": one("Service")["metadata"]["name"], "port": {"name": service["ports"][0]["name"]}}
    for selector in (
        one("Deployment")["spec"]["selector"]["matchLabels"],
        one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        service["selector"],
    ):
        assert selector == labels, selector


def a_roll_out_takes_no_replica_before_its_successor_serves():
    assert one("Deployment")["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert one("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    scaler = one("HorizontalPodAutoscaler")["spec"]
    (open_replies,) = [metric["pods"] for metric in scaler["metrics"] if metric["type"] == "Pods"]
    assert open_replies["metric"]["name"] in (ROOT / "src/metrics/registry.rs").read_text()
    assert scaler["minReplicas"] == 3
    assert scaler["behavior"]["scaleDown"]["stabilizationWindowSeconds"] >= 300


def nothing_runs_with_more_rights_than_it_needs():
    (container,) = pod()["containers"]
    assert pod()["automountServiceAccountToken"] is False
    assert pod()["securityContext"]["runAsNonRoot"] is True
    user = pod()["securityContext"]["runAsUser"]
    assert f"USER {user}:{user}" in (ROOT / "Dockerfile").read_text()
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", [])), name
    assert compose["networks"]["store"]["internal"] is True
    assert compose["services"]["valkey"]["networks"] == ["store"]


def secrets_are_files_and_only_neighbors_may_connect():
    (container,) = pod()["containers"]
    assert container["envFrom"] == [{"configMapRef": {"name": "rasta-stream"}}]
    secrets = set(one("Secret")["stringData"])
    in_environment = {variable["name"] for variable in container["env"]}
    assert in_environment == {"REDIS_URL"} < secrets
    (mount,) = container["volumeMounts"]
    assert mount["readOnly"] is True
    for name in secrets - in_environment:
        assert one("ConfigMap")["data"][f"{name}_FILE"] == f"{mount['mountPath']}/{name}"
    for rule in one("NetworkPolicy")["spec"]["ingress"]:
        assert rule["from"], rule
    annotations = one("Ingress")["metadata"]["annotations"]
    assert annotations["nginx.ingress.kubernetes.io/enable-access-log"] == "false"


def a_pod_has_more_memory_than_the_program_may_use():
    (container,) = pod()["containers"]
    limit = int(container["resources"]["limits"]["memory"].removesuffix("Mi"))
    bounds = 0
    for file, name in (
        ("store/memory.rs", "MAX_LOG_BYTES"),
        ("routes/body.rs", "BODIES_BYTES_LIMIT"),
        ("routes/snapshot.rs", "SNAPSHOTS_BYTES_LIMIT"),
    ):
        source = (ROOT / "src" / file).read_text()
        bounds += int(re.search(rf"const {name}: usize = (\d+) << 20;", source)[1])
    assert limit >= 1.5 * bounds, (limit, bounds)


def one_address_cannot_occupy_nginx():
    for line in ("limit_conn connections", "limit_req zone=requests", "client_header_timeout", "client_body_timeout"):
        assert re.search(rf"^    {line} ?[^;]*;", nginx["nginx.conf"], re.MULTILINE), line


def images_of_others_are_pinned():
    for name in ("valkey", "nginx"):
        assert re.search(r":\d+\.\d+", compose["services"][name]["image"]), name


def nginx_has_the_addresses_that_compose_gives():
    given = [replica["networks"]["front"]["ipv4_address"] for replica in replicas_of_compose()]
    assert len(given) == 3
    assert re.findall(r"server ([\d.]+):8080", nginx["replicas.conf"]) == given
    mounted = {volume.split(":")[0].removeprefix("./nginx/") for volume in compose["services"]["nginx"]["volumes"]}
    assert mounted == set(nginx) - {"tls.conf"}


def nginx_holds_nothing_back():
    # At a viewer that reads as fast as the events come, nginx with its buffers shows no difference; at
    # one that does not it would take in the reply, to a disk even.
    for line in ("proxy_buffering off;", "proxy_http_version 1.1;"):
        assert f"\n{line}\n" in nginx["site.conf"], line
    annotations = one("Ingress")["metadata"]["annotations"]
    assert annotations["nginx.ingress.kubernetes.io/proxy-buffering"] == "off"
    assert annotations["nginx.org/proxy-buffering"] == "False"


def every_way_in_waits_for_the_same_pings_and_takes_the_same_body():
    annotations = one("Ingress")["metadata"]["annotations"]
    for setting, names in (
        ("proxy_read_timeout", ("nginx.ingress.kubernetes.io/proxy-read-timeout", "nginx.org/proxy-read-timeout")),
        ("client_max_body_size", ("nginx.ingress.kubernetes.io/proxy-body-size", "nginx.org/client-max-body-size")),
        ("proxy_next_upstream", ("nginx.ingress.kubernetes.io/proxy-next-upstream", "nginx.org/proxy-next-upstream")),
    ):
        (value,) = re.findall(rf"^{setting} ([^;]+);", nginx["site.conf"], re.MULTILINE)
        for name in names:
            assert annotations[name] == (value if "nginx.org" in name else value.removesuffix("s")), name
        assert "non_idempotent" not in value
    ping = float(re.search(r"#PING_SECONDS=(\S+)", (ROOT / ".env.example").read_text())[1])
    (wait,) = re.findall(r"^proxy_read_timeout (\d+)s;", nginx["site.conf"], re.MULTILINE)
    assert int(wait) > 3 * ping


def valkey_lets_the_replicas_do_what_they_must_and_no_more():
    default, user = (DEPLOY / "users.acl").read_text().splitlines()
    assert default == "user default off"
    words = user.split()
    assert words[:7] == ["user", "rasta", "on", ">PASSWORD", "~rasta:*", "&rasta:*", "-@all"]
    allowed = {word.removeprefix("+").upper() for word in words[7:]}
    source = "".join(path.read_text() for path in (ROOT / "src/store/replication").glob("*.rs"))
    used = set(re.findall(r'cmd\("(\w+)"\)', source))
    assert used
    assert allowed == used | SENT_BY_THE_CLIENT, allowed ^ (used | SENT_BY_THE_CLIENT)
    assert "s/PASSWORD/" in compose["services"]["valkey"]["command"][2]
    assert "--maxmemory-policy noeviction" in compose["services"]["valkey"]["command"][2]
    for replica in replicas_of_compose():
        assert replica["environment"]["REDIS_URL"].startswith("redis://rasta:")


def the_actions_of_the_release_are_pinned_and_may_do_no_more_than_they_must():
    workflow = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
    assert workflow["permissions"] == {}
    (job,) = workflow["jobs"].values()
    assert job["permissions"] == {"contents": "write", "packages": "write"}
    used = [step["uses"] for step in job["steps"] if "uses" in step]
    assert used
    for action in used:
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", action), action
    for step in job["steps"]:
        # What an event carries is text of others, and a shell would run it.
        assert "${{" not in step.get("run", ""), step["name"]
        # The first word may also set a variable.
        script = [word for word in step.get("run", "").split()[0:1] if "=" not in word]
        assert not script or "/" not in script[0] or (ROOT / script[0]).is_file(), script


def the_image_is_built_with_the_tools_of_the_release():
    (image,) = re.findall(r"cargo-auditable --version (\S+)", (ROOT / "Dockerfile").read_text())
    (release,) = re.findall(r"CARGO_AUDITABLE_VERSION=(\S+)", (DEPLOY / "release.sh").read_text())
    assert image == release


CHECKS = [
    the_manifests_fit_the_schemas_of_kubernetes,
    a_pod_has_time_to_drain,
    a_container_of_compose_has_time_to_drain,
    probes_ask_for_routes_that_exist,
    every_setting_is_one_of_the_program,
    selectors_find_the_pods_and_ports_have_one_name,
    a_roll_out_takes_no_replica_before_its_successor_serves,
    nothing_runs_with_more_rights_than_it_needs,
    secrets_are_files_and_only_neighbors_may_connect,
    a_pod_has_more_memory_than_the_program_may_use,
    one_address_cannot_occupy_nginx,
    images_of_others_are_pinned,
    nginx_has_the_addresses_that_compose_gives,
    nginx_holds_nothing_back,
    every_way_in_waits_for_the_same_pings_and_takes_the_same_body,
    valkey_lets_the_replicas_do_what_they_must_and_no_more,
    the_actions_of_the_release_are_pinned_and_may_do_no_more_than_they_must,
    the_image_is_built_with_the_tools_of_the_release,
]

failed = 0
for check in CHECKS:
    name = check.__name__.replace("_", " ")
    try:
        check()
        print("ok:", name)
    except Exception:  # A check that stumbles has failed; the others still tell what they find.
        failed += 1
        print("FAILED:", name)
        traceback.print_exc(file=sys.stdout)
sys.exit(failed > 0)

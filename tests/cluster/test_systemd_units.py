"""Services that are units of a real systemd."""

from __future__ import annotations

import pytest

from tests.cluster.support import OlympusOnHost


@pytest.fixture(scope="module")
def olympus(lab):
    made = OlympusOnHost(lab.boot("h1"))
    made.start()
    return made


def service(name, *, more="", unit=""):
    return f"""
apiVersion: olympus/v1
kind: Service
metadata: {{name: {name}}}
spec:
  run: {{systemd: {{unit: {unit or name}.service, file: units/{name}.service, enable: true}}}}
{more}"""


def unit(exec_start, more=""):
    return f"[Service]\nExecStart={exec_start}\n{more}[Install]\nWantedBy=multi-user.target\n"


def shown(olympus, unit_name, *names):
    said = olympus.host.run("systemctl", "show", f"--property={','.join(names)}", unit_name)
    return dict(line.split("=", 1) for line in said.splitlines())


def test_a_unit_from_the_specs_is_enabled_and_started(olympus):
    assert "applied" in olympus.push({"a.yaml": service("one"), "units/one.service": unit("/bin/sleep 1001")})
    one = olympus.instance("one", lambda i: i["state"] == "running" and i["healthy"])
    assert shown(olympus, "one", "MainPID", "ActiveState", "UnitFileState") == {
        "MainPID": str(one["pid"]),
        "ActiveState": "active",
        "UnitFileState": "enabled",
    }
    assert "h1 running" in olympus.cli("get", "service", "one")

#!/usr/bin/env python3
"""Makes of pods for Kubernetes pods that `podman play kube` 4.3 can run: standard input to standard output. All that is changed, and why:

- a Deployment becomes the one Pod of its template: podman would name it otherwise, and start again what ends;
- an init container that stays (restartPolicy: Always) becomes the first container: podman knows no native sidecars, and would wait for its end;
- the projected volume of token and trust bundle becomes a folder of this machine: there is nobody who would issue or renew a token;
- fieldRef becomes the value: podman knows few of them;
- probes and hooks go: podman would run them inside of the container, by programs that the images do not have;
- ports go: podman would take each of this machine too, and two pods have one of a number;
- resources go: a machine may have no control groups for them.

    for-podman.py ADDRESS IDENTITY-FOLDER
"""
import sys

import yaml

address, identity = sys.argv[1:]
manifest = yaml.safe_load(sys.stdin)
name, namespace = manifest["metadata"]["name"], manifest["metadata"]["namespace"]
template = manifest["spec"]["template"] if manifest["kind"] == "Deployment" else manifest
spec = template["spec"]

stays = [c for c in spec.get("initContainers", []) if c.get("restartPolicy") == "Always"]
spec["initContainers"] = [c for c in spec.get("initContainers", []) if c not in stays]
spec["containers"] = stays + spec["containers"]
fields = {"metadata.namespace": namespace, "spec.serviceAccountName": spec["serviceAccountName"], "status.podIPs": address}
for container in spec["initContainers"] + spec["containers"]:
    for gone in ("restartPolicy", "startupProbe", "readinessProbe", "livenessProbe", "lifecycle", "ports", "resources", "terminationMessagePolicy"):
        container.pop(gone, None)
    for variable in container.get("env", []):
        if "valueFrom" in variable:
            variable["value"] = fields[variable.pop("valueFrom")["fieldRef"]["fieldPath"]]
for volume in spec.get("volumes", []):
    if "projected" in volume:
        del volume["projected"]
        volume["hostPath"] = {"path": identity, "type": "Directory"}
if not spec["initContainers"]:
    del spec["initContainers"]
spec["restartPolicy"] = "Never"
metadata = {"name": name, "namespace": namespace, **{k: template["metadata"][k] for k in ("labels", "annotations") if k in template.get("metadata", {})}}
yaml.safe_dump({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}, sys.stdout, sort_keys=False)

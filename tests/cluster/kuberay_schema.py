"""What a KubeRay manifest may say: fields of the CRDs (KubeRay 1.6) and of the pods in them, those that we may use.

A subset on purpose: whatever is not known is refused, a mistyped key as well as a field that nobody looked up.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string", "minLength": 1}
COUNT: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}
TEXTS: Schema = {"type": "object", "additionalProperties": TEXT}


def fields(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    """An object with these fields and no other."""
    properties = required | (optional or {})
    return {
        "type": "object",
        "properties": properties,
        "required": [*required],
        "additionalProperties": False,
    }


def several(item: Schema) -> Schema:
    """A list that is not empty."""
    return {"type": "array", "items": item, "minItems": 1}


def one_of(*values: str) -> Schema:
    """One of these words."""
    return {"enum": [*values]}


# Kubernetes' own types, as far as they are used. Quantities are written as text, never as numbers.
QUANTITY: Schema = {"type": "string", "pattern": r"^\d+(\.\d+)?(m|[KMGT]i?)?$"}
QUANTITIES = fields({}, {"cpu": QUANTITY, "memory": QUANTITY, "nvidia.com/gpu": QUANTITY})
RESOURCES = fields({"requests": QUANTITIES, "limits": QUANTITIES})
METADATA = fields({"name": {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"}}, {"labels": TEXTS})
CONTAINER_SECURITY = fields(
    {"allowPrivilegeEscalation": {"const": False}, "capabilities": fields({"drop": {"const": ["ALL"]}})}
)
POD_SECURITY = fields(
    {
        "runAsNonRoot": {"const": True},
        "runAsUser": {"type": "integer", "minimum": 1},
        "fsGroup": COUNT,
        "fsGroupChangePolicy": one_of("OnRootMismatch", "Always"),
        "seccompProfile": fields({"type": {"const": "RuntimeDefault"}}),
    }
)
CONTAINER = fields(
    {
        "name": TEXT,
        "image": TEXT,
        "ports": several(fields({"name": {**TEXT, "maxLength": 15}, "containerPort": COUNT})),
        "resources": RESOURCES,
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": several(fields({"name": TEXT, "mountPath": {"type": "string", "pattern": "^/"}})),
    }
)
VOLUME: Schema = {
    "oneOf": [
        fields({"name": TEXT, "persistentVolumeClaim": fields({"claimName": TEXT})}),
        fields({"name": TEXT, "emptyDir": fields({"medium": {"const": "Memory"}, "sizeLimit": QUANTITY})}),
    ]
}
EFFECT = one_of("NoSchedule", "PreferNoSchedule", "NoExecute")
TOLERATION: Schema = {
    "oneOf": [
        fields({"key": TEXT, "operator": {"const": "Exists"}, "effect": EFFECT}),
        fields({"key": TEXT, "operator": {"const": "Equal"}, "value": TEXT, "effect": EFFECT}),
    ]
}
POD = fields(
    {"securityContext": POD_SECURITY, "containers": several(CONTAINER), "volumes": several(VOLUME)},
    {"nodeSelector": TEXTS, "tolerations": several(TOLERATION), "terminationGracePeriodSeconds": COUNT},
)
TEMPLATE = fields({"spec": POD})

# ray.io/v1
HEAD_GROUP = fields(
    {"rayStartParams": TEXTS, "template": TEMPLATE},
    {"serviceType": one_of("ClusterIP", "NodePort", "LoadBalancer"), "enableIngress": FLAG},
)
WORKER_GROUP = fields(
    {"groupName": TEXT, "minReplicas": COUNT, "maxReplicas": COUNT, "rayStartParams": TEXTS, "template": TEMPLATE},
    {"replicas": COUNT, "numOfHosts": COUNT, "idleTimeoutSeconds": COUNT, "suspend": FLAG},
)
AUTOSCALER = fields(
    {},
    {
        "resources": RESOURCES,
        "image": TEXT,
        "imagePullPolicy": one_of("Always", "IfNotPresent", "Never"),
        "securityContext": CONTAINER_SECURITY,
        "idleTimeoutSeconds": COUNT,
        "upscalingMode": one_of("Default", "Aggressive", "Conservative"),
        "version": one_of("v1", "v2"),
    },
)
CLUSTER = fields(
    {"rayVersion": TEXT, "headGroupSpec": HEAD_GROUP, "workerGroupSpecs": several(WORKER_GROUP)},
    {
        "enableInTreeAutoscaling": FLAG,
        "autoscalerOptions": AUTOSCALER,
        "authOptions": fields({"mode": one_of("token", "disabled")}, {"secretName": TEXT}),
        "suspend": FLAG,
    },
)
JOB = fields(
    {"entrypoint": TEXT, "rayClusterSpec": CLUSTER},
    {
        "submissionMode": one_of("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"),
        "backoffLimit": COUNT,
        "activeDeadlineSeconds": {"type": "integer", "minimum": 1},
        "shutdownAfterJobFinishes": FLAG,
        "ttlSecondsAfterFinished": COUNT,
        "runtimeEnvYAML": TEXT,
        "jobId": TEXT,
        "suspend": FLAG,
        "metadata": TEXTS,
        "entrypointNumCpus": {"type": "number"},
        "entrypointNumGpus": {"type": "number"},
        "entrypointResources": TEXT,
        "submitterConfig": fields({"backoffLimit": COUNT}),
    },
)
VOLUME_CLAIM = fields(
    {
        "accessModes": {"const": ["ReadWriteMany"]},
        "storageClassName": TEXT,
        "resources": fields({"requests": fields({"storage": QUANTITY})}),
    }
)
EXPRESSION = fields({"key": TEXT, "operator": one_of("In", "NotIn"), "values": several(TEXT)})
POD_MONITOR = fields(
    {
        "selector": fields({"matchExpressions": several(EXPRESSION)}),
        "podMetricsEndpoints": several(fields({"port": TEXT, "interval": TEXT})),
    }
)


def kind(version: str, name: str, spec: Schema) -> Schema:
    """A whole manifest."""
    return fields({"apiVersion": {"const": version}, "kind": {"const": name}, "metadata": METADATA, "spec": spec})


KINDS = {
    "RayCluster": kind("ray.io/v1", "RayCluster", CLUSTER),
    "RayJob": kind("ray.io/v1", "RayJob", JOB),
    "PersistentVolumeClaim": kind("v1", "PersistentVolumeClaim", VOLUME_CLAIM),
    "PodMonitor": kind("monitoring.coreos.com/v1", "PodMonitor", POD_MONITOR),
}

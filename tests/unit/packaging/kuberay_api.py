"""Field names of the manifests' objects, and a check against them.

KUBERAY is a hand-made excerpt of KubeRay's published reference of the API ray.io/v1 at release v1.7.0
(docs/reference/api.md); KUBERNETES one of the Kubernetes API reference v1.28, to which that refers for pods. Written
there but not used here is left out, so a manifest that comes to need more adds it from the reference.

A type is a line of fields: ``name`` takes any scalar, ``name:Type`` an object, ``name:[Type]`` a list of them (or of
scalars: ``[]``), ``name:{}`` free names with scalars, ``name=a|b`` one of these words; ``!`` marks a required field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

KUBERAY = {
    "RayJob": "apiVersion! kind! metadata:ObjectMeta! spec:RayJobSpec!",
    "RayCronJob": "apiVersion! kind! metadata:ObjectMeta! spec:RayCronJobSpec!",
    "RayService": "apiVersion! kind! metadata:ObjectMeta! spec:RayServiceSpec!",
    "RayJobSpec": "activeDeadlineSeconds backoffLimit rayClusterSpec:RayClusterSpec clusterSelector:{} "
    "submitterPodTemplate:PodTemplateSpec metadata:{} submitterConfig:SubmitterConfig managedBy entrypoint "
    "runtimeEnvYAML jobId submissionMode=K8sJobMode|HTTPMode|InteractiveMode|SidecarMode entrypointResources "
    "entrypointNumCpus entrypointNumGpus ttlSecondsAfterFinished preRunningDeadlineSeconds suspend "
    "shutdownAfterJobFinishes",
    "SubmitterConfig": "backoffLimit",
    "RayCronJobSpec": "jobTemplate:RayJobSpec! schedule! timeZone suspend",
    "RayServiceSpec": "rayClusterDeletionDelaySeconds serveService:Service upgradeStrategy:RayServiceUpgradeStrategy "
    "managedBy serveConfigV2 rayClusterConfig:RayClusterSpec excludeHeadPodFromServeSvc suspend",
    "RayServiceUpgradeStrategy": "type=NewCluster|NewClusterWithIncrementalUpgrade|None "
    "clusterUpgradeOptions:ClusterUpgradeOptions",
    "ClusterUpgradeOptions": "maxSurgePercent stepSizePercent intervalSeconds gatewayClassName",
    "RayClusterSpec": "upgradeStrategy:RayClusterUpgradeStrategy authOptions:AuthOptions suspend managedBy "
    "autoscalerOptions:AutoscalerOptions headServiceAnnotations:{} enableInTreeAutoscaling "
    "gcsFaultToleranceOptions:GcsFaultToleranceOptions headGroupSpec:HeadGroupSpec! rayVersion "
    "workerGroupSpecs:[WorkerGroupSpec]",
    "RayClusterUpgradeStrategy": "type=Recreate|None",
    "AuthOptions": "enableK8sTokenAuth secretName mode=disabled|token",
    "AutoscalerOptions": "resources:ResourceRequirements image imagePullPolicy securityContext:SecurityContext "
    "idleTimeoutSeconds upscalingMode=Default|Aggressive|Conservative version=v1|v2 env:[EnvVar]",
    "GcsFaultToleranceOptions": "backend=redis|rocksdb redisUsername:RedisCredential redisPassword:RedisCredential "
    "externalStorageNamespace redisAddress",
    "RedisCredential": "valueFrom:EnvVarSource value",
    "HeadGroupSpec": "template:PodTemplateSpec! headService:Service enableIngress resources:{} labels:{} "
    "rayStartParams:{} serviceType",
    "WorkerGroupSpec": "suspend groupName! replicas minReplicas maxReplicas idleTimeoutSeconds priority resources:{} "
    "labels:{} rayStartParams:{} template:PodTemplateSpec! numOfHosts",
}

KUBERNETES = {
    "ObjectMeta": "name namespace labels:{} annotations:{}",
    "Namespace": "apiVersion! kind! metadata:ObjectMeta!",
    "ServiceAccount": "apiVersion! kind! metadata:ObjectMeta! automountServiceAccountToken",
    "ConfigMap": "apiVersion! kind! metadata:ObjectMeta! data:{}",
    "PersistentVolumeClaim": "apiVersion kind metadata:ObjectMeta! spec:PersistentVolumeClaimSpec!",
    "PersistentVolumeClaimSpec": "accessModes:[]! storageClassName resources:ResourceRequirements!",
    "Service": "apiVersion! kind! metadata:ObjectMeta! spec:ServiceSpec!",
    "ServiceSpec": "clusterIP selector:{} ports:[ServicePort] type=ClusterIP|NodePort|LoadBalancer",
    "ServicePort": "name port! targetPort protocol=TCP|UDP",
    "StatefulSet": "apiVersion! kind! metadata:ObjectMeta! spec:StatefulSetSpec!",
    "StatefulSetSpec": "serviceName! replicas selector:LabelSelector! template:PodTemplateSpec! "
    "volumeClaimTemplates:[PersistentVolumeClaim]",
    "PodDisruptionBudget": "apiVersion! kind! metadata:ObjectMeta! spec:PodDisruptionBudgetSpec!",
    "PodDisruptionBudgetSpec": "maxUnavailable minAvailable selector:LabelSelector!",
    "NetworkPolicy": "apiVersion! kind! metadata:ObjectMeta! spec:NetworkPolicySpec!",
    "NetworkPolicySpec": "podSelector:LabelSelector! policyTypes:[] ingress:[NetworkPolicyIngressRule]",
    "NetworkPolicyIngressRule": "from:[NetworkPolicyPeer] ports:[NetworkPolicyPort]",
    "NetworkPolicyPeer": "podSelector:LabelSelector namespaceSelector:LabelSelector",
    "NetworkPolicyPort": "protocol=TCP|UDP port endPort",
    "LabelSelector": "matchLabels:{}",
    "PodTemplateSpec": "metadata:ObjectMeta spec:PodSpec!",
    "PodSpec": "containers:[Container]! volumes:[Volume] restartPolicy=Always|OnFailure|Never serviceAccountName "
    "automountServiceAccountToken securityContext:PodSecurityContext tolerations:[Toleration] nodeSelector:{} "
    "terminationGracePeriodSeconds topologySpreadConstraints:[TopologySpreadConstraint]",
    "PodSecurityContext": "runAsNonRoot runAsUser runAsGroup fsGroup fsGroupChangePolicy=OnRootMismatch|Always "
    "seccompProfile:SeccompProfile",
    "SeccompProfile": "type=RuntimeDefault|Unconfined|Localhost!",
    "Toleration": "key operator=Exists|Equal value effect=NoSchedule|PreferNoSchedule|NoExecute",
    "TopologySpreadConstraint": "maxSkew! topologyKey! whenUnsatisfiable=DoNotSchedule|ScheduleAnyway! "
    "labelSelector:LabelSelector",
    "Container": "name! image! command:[] args:[] env:[EnvVar] ports:[ContainerPort] resources:ResourceRequirements "
    "securityContext:SecurityContext readinessProbe:Probe livenessProbe:Probe startupProbe:Probe lifecycle:Lifecycle "
    "volumeMounts:[VolumeMount] imagePullPolicy=Always|IfNotPresent|Never",
    "SecurityContext": "allowPrivilegeEscalation readOnlyRootFilesystem runAsNonRoot capabilities:Capabilities",
    "Capabilities": "drop:[] add:[]",
    "ResourceRequirements": "requests:{} limits:{}",
    "EnvVar": "name! value valueFrom:EnvVarSource",
    "EnvVarSource": "secretKeyRef:SecretKeySelector",
    "SecretKeySelector": "name! key!",
    "ContainerPort": "name containerPort! protocol=TCP|UDP",
    "Probe": "exec:ExecAction initialDelaySeconds periodSeconds timeoutSeconds failureThreshold successThreshold",
    "ExecAction": "command:[]!",
    "Lifecycle": "preStop:LifecycleHandler",
    "LifecycleHandler": "exec:ExecAction",
    "VolumeMount": "name! mountPath! readOnly subPath",
    "Volume": "name! persistentVolumeClaim:ClaimSource configMap:ConfigMapSource secret:SecretSource "
    "emptyDir:EmptyDirSource",
    "ClaimSource": "claimName! readOnly",
    "ConfigMapSource": "name!",
    "SecretSource": "secretName! defaultMode",
    "EmptyDirSource": "medium=Memory sizeLimit",
}
TYPES = KUBERAY | KUBERNETES
_FIELD = re.compile(r"(?P<name>\w+)(?::(?P<kind>\[\w*\]|\{\}|\w+))?(?:=(?P<words>[\w|]+))?(?P<must>!)?")


def fields_of(kind: str) -> dict[str, re.Match[str]]:
    """The fields of a type, by name."""
    found = [_FIELD.fullmatch(word) for word in TYPES[kind].split()]
    assert all(found), kind
    return {match["name"]: match for match in found if match}


def faults(value: Any, kind: str, path: str = "") -> Iterator[str]:
    """What the reference does not know in ``value``, an object of this type, as one line each."""
    if not isinstance(value, dict):
        yield f"{path}: {value!r} is no {kind}"
        return
    known = fields_of(kind)
    yield from (f"{path}.{name}: required" for name, field in known.items() if field["must"] and name not in value)
    for name, inner in value.items():
        where = f"{path}.{name}"
        if name not in known:
            yield f"{where}: {kind} has no such field"
        else:
            yield from _faults_of(inner, known[name], where)


def _faults_of(value: Any, field: re.Match[str], path: str) -> Iterator[str]:
    kind = field["kind"]
    if kind is None:
        if isinstance(value, dict | list) or (field["words"] and str(value) not in field["words"].split("|")):
            yield f"{path}: {value!r} is not allowed"
    elif kind == "{}":
        if not isinstance(value, dict) or any(isinstance(inner, dict | list) for inner in value.values()):
            yield f"{path}: {value!r} is no mapping to scalars"
    elif kind.startswith("["):
        if not isinstance(value, list):
            yield f"{path}: {value!r} is no list"
            return
        for number, inner in enumerate(value):
            if kind != "[]":
                yield from faults(inner, kind[1:-1], f"{path}[{number}]")
            elif isinstance(inner, dict | list):
                yield f"{path}[{number}]: {inner!r} is no scalar"
    else:
        yield from faults(value, kind, path)

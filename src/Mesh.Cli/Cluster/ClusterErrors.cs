using System.Net;
using Mesh.ControlPlane.Sources.Kubernetes;

namespace Mesh.Cli.Cluster;

/// <summary>What the API server refused becomes a failure that a person can act on: the one place where it is done.</summary>
internal static class ClusterErrors
{
    public static CliException Of(KubeApiException error) => error.Status switch
    {
        0 => new CliException(ExitCodes.Unreachable, "the cluster can't be reached", error.Message, "check --kubeconfig and --context; does 'kubectl version' answer?", error),
        HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden => new CliException(
            ExitCodes.NotPermitted, "the cluster does not permit it", error.Message, "'kubectl auth can-i --list' shows what you may; docs/kubernetes.md says what is needed", error),
        HttpStatusCode.NotFound => new CliException(
            ExitCodes.Unreachable, "the cluster has no such thing", error.Message, "'mesh check' says what is missing; without a control plane: mesh install | kubectl apply -f -", error),
        HttpStatusCode.ServiceUnavailable => new CliException(
            ExitCodes.Unreachable, "the control plane can't be reached through the cluster", error.Message, "mesh check", error),
        _ => new CliException(ExitCodes.Failure, "the cluster refused", error.Message, "do what it says", error),
    };
}

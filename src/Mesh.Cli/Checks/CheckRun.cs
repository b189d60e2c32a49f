using System.Net;
using Mesh.ControlPlane.Sources.Kubernetes;

namespace Mesh.Cli.Checks;

/// <summary>Asks one check after the other.</summary>
internal static class CheckRun
{
    public static async Task<List<Check>> AskAsync(IEnumerable<ClusterCheck> checks, ClusterFacts facts, CancellationToken cancellationToken)
    {
        var results = new List<Check>();
        foreach (var check in checks)
        {
            var finding = await AskAsync(check, facts, cancellationToken);
            results.Add(new Check(check.Id, check.Category, check.Description, finding?.Result ?? "ok", finding?.Detail, finding?.Fix));
            if (check.Stops && finding?.Result == "error")
            {
                break;
            }
        }

        return results;
    }

    private static async Task<Finding?> AskAsync(ClusterCheck check, ClusterFacts facts, CancellationToken cancellationToken)
    {
        try
        {
            return await check.Ask(facts, cancellationToken);
        }
        catch (KubeApiException e) when (e.Status is HttpStatusCode.Forbidden or HttpStatusCode.Unauthorized)
        {
            return Finding.Warning($"you may not see it: {e.Message}", "ask as somebody who may");
        }
        catch (KubeApiException e)
        {
            return Finding.Error(e.Message, e.Status == 0 ? "check --kubeconfig and --context; does 'kubectl version' answer?" : "do what it says");
        }
        catch (CliException e)
        {
            return Finding.Error($"{e.Message}: {e.Why}", e.Fix);
        }
    }
}

using System.Text;
using System.Text.Json.Nodes;
using Mesh.Cli.Cluster;

namespace Mesh.Cli.Checks;

/// <summary>Whether the API server asks us, and can believe who answers.</summary>
internal static class WebhookChecks
{
    private const string Category = "webhooks";
    private const string Root = "/apis/admissionregistration.k8s.io/v1/";
    private static readonly string[] Paths = [Root + "mutatingwebhookconfigurations/mesh-injector", Root + "validatingwebhookconfigurations/mesh-validator"];

    public static IEnumerable<ClusterCheck> All { get; } =
    [
        new("MESH-CHK-030", Category, "the webhook configurations are there", async (facts, cancellationToken) =>
        {
            var missing = (await AllAsync(facts, cancellationToken)).Where(c => c.Value is null).Select(c => c.Path[(c.Path.LastIndexOf('/') + 1)..]).ToList();
            return missing.Count == 0 ? null : Finding.Error($"{string.Join(" and ", missing)} {(missing.Count == 1 ? "is" : "are")} missing: nothing is injected, or policies are taken unread", "mesh upgrade | kubectl apply -f -");
        }),
        new("MESH-CHK-031", Category, "the API server trusts them", async (facts, cancellationToken) =>
        {
            var now = await facts.NowAsync(cancellationToken);
            foreach (var (_, configuration) in await AllAsync(facts, cancellationToken))
            {
                foreach (var webhook in configuration.Each("webhooks"))
                {
                    if (webhook.Text("clientConfig", "caBundle") is not { Length: > 0 } bundle)
                    {
                        return Finding.Error($"{webhook.Text("name")} has no caBundle: the leader writes it when it starts", "see the control plane's log, and MESH-CHK-040");
                    }

                    if (CertificateFiles.Problem(Decode(bundle), now) is { } problem)
                    {
                        return problem with { Detail = $"caBundle of {webhook.Text("name")}: {problem.Detail}", Fix = "the leader keeps it current: see the control plane's log, and MESH-CHK-040" };
                    }
                }
            }

            return null;
        }),
        new("MESH-CHK-032", Category, "pods and policies wait for them as was meant", async (facts, cancellationToken) =>
        {
            var wanted = (await facts.ValuesAsync(cancellationToken)).Text("webhooks.failurePolicy");
            var other = (await AllAsync(facts, cancellationToken)).SelectMany(c => c.Value.Each("webhooks"))
                .Where(w => w.Text("name") != "routes.meshlib.io" && w.Text("failurePolicy") != wanted).Select(w => w.Text("name")).ToList();
            return other.Count == 0 ? null : Finding.Warning($"failurePolicy of {string.Join(" and ", other)} is not {wanted}", "mesh upgrade | kubectl apply -f -");
        }),
    ];

    private static async Task<List<(string Path, JsonObject? Value)>> AllAsync(ClusterFacts facts, CancellationToken cancellationToken)
    {
        var all = new List<(string, JsonObject?)>();
        foreach (var path in Paths)
        {
            all.Add((path, await facts.GetAsync(path, cancellationToken)));
        }

        return all;
    }

    private static string Decode(string base64)
    {
        try
        {
            return Encoding.UTF8.GetString(Convert.FromBase64String(base64));
        }
        catch (FormatException)
        {
            return base64;
        }
    }
}

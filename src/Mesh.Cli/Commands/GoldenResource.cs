namespace Mesh.Cli.Commands;

/// <summary>What numbers are asked of: <c>svc/pricing</c>, <c>workload/cart</c>, or all of a kind.</summary>
/// <param name="Name">Null is all.</param>
internal sealed record GoldenResource(bool IsService, string? Name)
{
    private static readonly string[] Services = ["svc", "service", "services"];
    private static readonly string[] Workloads = ["workload", "workloads", "wl", "sa", "serviceaccount", "deploy", "deployment", "deployments"];

    /// <summary>A bare name is a service's.</summary>
    /// <returns>Null with a problem: no such kind.</returns>
    public static GoldenResource? Parse(string text, out string problem)
    {
        problem = string.Empty;
        var at = text.IndexOf('/', StringComparison.Ordinal);
        var (kind, name) = at < 0 ? (text, null) : (text[..at], NameOf(text[(at + 1)..]));
        if (Services.Contains(kind))
        {
            return new GoldenResource(true, name);
        }

        if (Workloads.Contains(kind))
        {
            return new GoldenResource(false, name);
        }

        if (at < 0)
        {
            return new GoldenResource(true, text);
        }

        problem = $"'{kind}' is no kind that is measured: give svc/NAME or workload/NAME.";
        return null;
    }

    /// <summary>Without its kind.</summary>
    public static string? NameOf(string? resource) => resource is null or "" ? null : resource[(resource.LastIndexOf('/') + 1)..];
}

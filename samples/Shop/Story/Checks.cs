namespace Shop.Story;

/// <summary>What the story's numbers must show; pure, so that they are tested without a shop.</summary>
internal static class Checks
{
    /// <summary>The part of all requests that one address got, 0–1.</summary>
    public static double ShareOf(IReadOnlyList<EndpointCount> counts, string address)
    {
        var all = counts.Sum(count => count.Requests);
        return all == 0 ? 0 : (double)counts.Where(count => count.Address == address).Sum(count => count.Requests) / all;
    }

    public static (double Share, long All) PricingV2Share(IReadOnlyList<EndpointCount> counts)
    {
        var v2 = counts.Where(count => count.Service == "pricing-v2").Sum(count => count.Requests);
        var all = v2 + counts.Where(count => count.Service == "pricing-v1").Sum(count => count.Requests);
        return (all == 0 ? 0 : (double)v2 / all, all);
    }

    /// <summary>How often each workload got a certificate, by its node.</summary>
    public static IReadOnlyDictionary<string, int> Renewals(IReadOnlyList<MeshClient> clients, IReadOnlyList<IssuedIdentity> issued) =>
        clients.ToDictionary(client => client.Id, client => issued.Count(identity => identity.Node == client.Id));

    /// <summary>Why answers are no refusal by the mesh, or not what the control plane says of the same request; null when all is as it must be.</summary>
    public static string? NotRefused(IReadOnlyList<Answer> answers, ExplainedRequest explained) =>
        answers.Count == 0 ? "nothing was asked"
        : answers.FirstOrDefault(answer => answer is not { Status: 403, MeshError: "PermissionDenied" }) is { } other
            ? $"{answers.Count(answer => answer == other)} of {answers.Count} were answered {other.Status} (mesh-error {other.MeshError ?? "none"}), not 403 by the mesh"
        : explained.Allowed != false ? $"all were refused, but explain says {(explained.Allowed is null ? "that they reach nobody" : "that they are allowed")}"
        : null;

    /// <summary>The verdict and who says so, on one line.</summary>
    public static string Text(ExplainedRequest explained) => string.Join("; ", explained.Verdicts.Select(verdict =>
        verdict.Decision + At(verdict.Where) + string.Concat(verdict.Nearest.Select(near => $"; nearest {near.Rule}{At(near.Where)}: {near.Failed}"))));

    private static string At(string? where) => where is null ? "" : $" ({where})";
}

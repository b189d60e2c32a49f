using System.Globalization;

namespace Mesh.Cli.Output;

/// <summary>What <c>/api/v1/identity/workloads</c> answers.</summary>
internal sealed record IdentityEntry(
    string Identity, string Node, string Serial, DateTimeOffset IssuedAt, DateTimeOffset NotBefore, DateTimeOffset NotAfter, double HoursLeft, string? Key, string? Issuer, string? Root,
    string? Attested, bool Connected, bool Revoked, int Certificates)
{
    /// <summary>Namespace and service account, where the identity has that form.</summary>
    public string ShortName => Short(Identity);

    public static string Short(string identity) => identity.Split('/') is [_, _, _, "ns", var ns, "sa", var account] ? $"{ns}/{account}" : identity;

    public string State => Revoked ? "revoked" : Connected ? "yes" : "no";
}

/// <summary>What <c>/api/v1/identity/workloads/show</c> answers.</summary>
internal sealed record IdentityDetails(IdentityEntry Workload, IReadOnlyList<ChainEntry> Chain);

internal sealed record ChainEntry(string Role, string Subject, string? Serial, IReadOnlyList<string> Names, string? Key, DateTimeOffset? NotBefore, DateTimeOffset? NotAfter, bool Known);

/// <summary>What <c>/api/v1/identity/root</c> answers.</summary>
internal sealed record RootStatus(
    string Phase, DateTimeOffset Since, string Origin, IReadOnlyList<AuthorityEntry> Roots, AuthorityEntry Issuer, DateTimeOffset? IssuerRenewsAt, IReadOnlyList<RotationWait> Waiting,
    string Next, int Workloads, string? Problem);

internal sealed record AuthorityEntry(string Id, string? Role, string Subject, string Serial, string Key, DateTimeOffset NotBefore, DateTimeOffset NotAfter);

internal sealed record RotationWait(string Identity, string Node, bool Connected, string For, DateTimeOffset? Until);

/// <summary>Writes certificates for people.</summary>
internal static class IdentityText
{
    public static Task WriteListAsync(IReadOnlyList<IdentityEntry> entries, TextWriter output)
    {
        var table = new Table(
            ("IDENTITY", false), ("NODE", false), ("CONNECTED", false), ("SERIAL", false), ("ISSUED", false), ("EXPIRES", false), ("HOURS_LEFT", true), ("ISSUER", false), ("ROOT", false));
        foreach (var entry in entries)
        {
            table.Add(
                entry.ShortName, entry.Node, entry.State, entry.Serial, Time(entry.IssuedAt), Time(entry.NotAfter), Table.Number(entry.HoursLeft, "0.0"), CommonName(entry.Issuer),
                entry.Root ?? "-");
        }

        return table.WriteToAsync(output);
    }

    public static async Task WriteDetailsAsync(IReadOnlyList<IdentityDetails> all, TextWriter output)
    {
        var first = true;
        foreach (var (workload, chain) in all)
        {
            if (!first)
            {
                await output.WriteLineAsync();
            }

            first = false;
            await output.WriteLineAsync($"{workload.Identity}");
            await output.WriteLineAsync($"  node       {workload.Node} ({(workload.Connected ? "connected" : "not connected")}{(workload.Revoked ? ", revoked" : string.Empty)})");
            await output.WriteLineAsync($"  issued     {Time(workload.IssuedAt)}, {Table.Number(workload.HoursLeft, "0.0")} h left");
            await output.WriteLineAsync($"  joined by  {workload.Attested ?? "-"}");
            foreach (var entry in chain)
            {
                await output.WriteLineAsync();
                await output.WriteLineAsync($"  {entry.Role,-9}  {(entry.Subject.Length == 0 ? "(no subject)" : entry.Subject)}");
                if (!entry.Known)
                {
                    await output.WriteLineAsync("             replaced since: only its name is known");
                    continue;
                }

                await output.WriteLineAsync($"    serial   {entry.Serial}");
                await output.WriteLineAsync($"    names    {(entry.Names.Count == 0 ? "-" : string.Join(", ", entry.Names))}");
                await output.WriteLineAsync($"    key      {entry.Key ?? "-"}");
                await output.WriteLineAsync($"    valid    {Time(entry.NotBefore)} to {Time(entry.NotAfter)}");
            }
        }
    }

    public static async Task WriteRootAsync(RootStatus status, TextWriter output)
    {
        await output.WriteLineAsync($"phase   {status.Phase}, since {Time(status.Since)}");
        await output.WriteLineAsync($"next    {status.Next}");
        await output.WriteLineAsync();
        var roots = new Table(("ROOT", false), ("ROLE", false), ("KEY", false), ("EXPIRES", false), ("SUBJECT", false));
        foreach (var root in status.Roots)
        {
            roots.Add(root.Id, root.Role ?? "-", root.Key, Time(root.NotAfter), root.Subject);
        }

        await roots.WriteToAsync(output);
        if (status.Waiting.Count == 0)
        {
            return;
        }

        await output.WriteLineAsync();
        var waiting = new Table(("WAITS_FOR", false), ("NODE", false), ("CONNECTED", false), ("MISSING", false), ("AT_THE_LATEST", false));
        foreach (var wait in status.Waiting)
        {
            waiting.Add(
                IdentityEntry.Short(wait.Identity), wait.Node, wait.Connected ? "yes" : "no",
                wait.For == "leaf" ? "its certificate is under the old root" : "it has not taken the roots", Time(wait.Until));
        }

        await waiting.WriteToAsync(output);
    }

    public static string Time(DateTimeOffset? time) => time?.ToUniversalTime().ToString("u", CultureInfo.InvariantCulture) ?? "-";

    private static string CommonName(string? subject) => subject is null ? "-" : subject.Split(',').FirstOrDefault(p => p.StartsWith("CN=", StringComparison.Ordinal))?[3..] ?? subject;
}

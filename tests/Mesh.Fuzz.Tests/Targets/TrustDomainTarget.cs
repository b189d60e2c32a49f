using System.Text;
using Mesh.Spiffe;

namespace Mesh.Fuzz.Tests.Targets;

/// <summary>Names of trust domains, against SPIFFE-ID §2.1.</summary>
internal sealed class TrustDomainTarget : IFuzzTarget
{
    public string Name => "trust-domain";

    public int Iterations => 20_000;

    public IReadOnlyList<byte[]> Corpus { get; } = [.. new[] { "cluster.local", "a", "a_b-c.9", "Cluster.local", "cluster.local/", "", "é", new string('a', 255), new string('a', 256) }.Select(Encoding.UTF8.GetBytes)];

    public IReadOnlyList<IMutation> Mutations { get; } = [new TextMutation("cluster", ".", "local", "_", "-", "a", "Z", "/", ":")];

    public string Run(byte[] input)
    {
        var text = Encoding.UTF8.GetString(input);
        var ok = TrustDomain.TryParse(text, out var domain, out var error);
        Holds.That(ok == (text.Length is >= 1 and <= 255 && text.All(c => "abcdefghijklmnopqrstuvwxyz0123456789._-".Contains(c, StringComparison.Ordinal))), $"'{text}' read: {ok}");
        Holds.That(ok == error is null, "an error tells why, and only then");
        Holds.That(!ok || (domain.Name == text && domain == TrustDomain.Parse(text)), "it is what was read");
        Holds.That(ok || domain == default, "nothing is left of what was refused");
        return ok ? "read" : error![^12..];
    }
}

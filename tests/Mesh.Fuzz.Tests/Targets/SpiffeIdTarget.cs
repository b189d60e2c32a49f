using System.Text;
using System.Text.RegularExpressions;
using Mesh.Spiffe;

namespace Mesh.Fuzz.Tests.Targets;

/// <summary>SPIFFE IDs, against the grammar of SPIFFE-ID §2 as one expression.</summary>
internal sealed partial class SpiffeIdTarget : IFuzzTarget
{
    public string Name => "spiffe-id";

    public int Iterations => 20_000;

    public IReadOnlyList<byte[]> Corpus { get; } =
    [
        .. new[]
        {
            "spiffe://cluster.local/ns/shop/sa/cart", "spiffe://cluster.local", "spiffe://a/b", "spiffe://a_b-c.d/x/y/z", "spiffe://cluster.local/", "spiffe://cluster.local//x",
            "spiffe://cluster.local/./x", "spiffe://cluster.local/..", "spiffe://user@cluster.local/x", "spiffe://cluster.local:80/x", "spiffe://cluster.local/x?y", "spiffe://Cluster.local/x",
            "SPIFFE://cluster.local/x", "https://cluster.local/x", "spiffe:///x", "spiffe://cluster.local/ns/shop/sa/", "spiffe://cluster.local/%2e%2e", "",
        }.Select(Encoding.UTF8.GetBytes),
    ];

    public IReadOnlyList<IMutation> Mutations { get; } = [new TextMutation("spiffe://", "cluster.local", "/ns/", "/sa/", "shop", "cart", "/", ".", "..", "_", "-", "A", "z", "9")];

    public string Run(byte[] input)
    {
        var text = Encoding.UTF8.GetString(input);
        var ok = SpiffeId.TryParse(text, out var id, out var error);
        var expected = text.Length <= 2048 && Grammar().IsMatch(text);
        Holds.That(ok == expected, $"read: {ok}, by the grammar: {expected}: '{text}' {error}");
        Holds.That(ok ? error is null : error is { Length: > 0 and < 4096 }, "an error tells why, and only then");
        if (!ok)
        {
            return error!.Split(' ')[^1].Length > 20 ? "refused" : error[^20..];
        }

        Holds.That(id!.ToString() == text, $"'{text}' is written as '{id}'");
        Holds.That(SpiffeId.Parse(id.ToString()) == id && id.GetHashCode() == SpiffeId.Parse(text).GetHashCode(), "it equals itself");
        Holds.That(id.Namespace is null == id.ServiceAccount is null, "namespace and service account come together");
        Holds.That(id.Namespace is null || id == SpiffeId.ForServiceAccount(id.TrustDomain, id.Namespace, id.ServiceAccount!), "they are what the path says");
        return $"{id.Namespace is null} {id.Path.Count(c => c == '/')}";
    }

    [GeneratedRegex(@"\Aspiffe://[a-z0-9._-]{1,255}(?:/(?!\.{1,2}(?:/|\z))[a-zA-Z0-9._-]+)*\z", RegexOptions.CultureInvariant)]
    private static partial Regex Grammar();
}

using System.Text;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources.Manifests;
using Mesh.Spiffe;
using Mesh.Xds.Decoding;

namespace Mesh.Fuzz.Tests.Targets;

/// <summary>Manifests: whatever the text, what is wrong is told, and what is taken translates into resources that every decoder takes.</summary>
internal sealed class ManifestTarget : IFuzzTarget
{
    private static readonly TrustDomain _trustDomain = TrustDomain.Parse("cluster.local");

    public string Name => "manifest";

    public int Iterations => 600;

    public IReadOnlyList<byte[]> Corpus { get; } =
    [
        .. GoldenManifests.All.Select(Encoding.UTF8.GetBytes),
        .. new[] { "", "---\n---", "a: [b", "&a [*a]", "- 1", "apiVersion: v1\nkind: List\nitems: []", "a: &x [1,1,1,1]\nb: &y [*x,*x,*x,*x]\nc: [*y,*y,*y,*y]" }.Select(Encoding.UTF8.GetBytes),
    ];

    public IReadOnlyList<IMutation> Mutations { get; } =
    [
        new TextMutation(
            "apiVersion: ", "kind: ", "Service", "EndpointSlice", "Pod", "HTTPRoute", "GRPCRoute", "ReferenceGrant", "List", "metadata: ", "name: ", "namespace: ", "spec: ", "ports: ", "port: ", "rules: ", "matches: ",
            "backendRefs: ", "targetRefs: ", "weight: ", "timeouts: ", "retry: ", "filters: ", "path: ", "type: ", "value: ", "RegularExpression", "PathPrefix", "Exact", "[", "]", "{", "}", "- ", "&a ", "*a", "!!str ", "|\n", ">\n",
            "null", "true", "0", "65536", "-1", "1.5", "10s", "1h", "99999h", "~", "\"", "'", "#", "<<: *a", "? ", "? ? ? ", "10.0.0.1", "::1", "*", "/", "(", "[a-z", "meshlib.io/service-account: "),
    ];

    public string Run(byte[] input)
    {
        var text = Encoding.UTF8.GetString(input);
        try
        {
            ManifestParser.Parse("in.yaml", text);
        }
        catch (ManifestSyntaxException e)
        {
            Holds.That(e.Where.StartsWith("in.yaml:", StringComparison.Ordinal) && e.Message.Length > 20, $"it says where and why: {e.Where} {e.Message}");
        }

        var model = ModelAssembler.Assemble([ManifestFile.Read("in.yaml", text, null)], _trustDomain, new EveryOther(), _ => ["10.0.0.9"]);
        Holds.That(model.Problems.All(p => p.Where.StartsWith("in.yaml", StringComparison.Ordinal) && p.What.Length > 10), "each problem says where and what");
        foreach (var resource in GoldenManifests.Translate(model))
        {
            var decoded = ResourceDecoder.Decode(resource.Type, resource.Bytes);
            Holds.That(decoded.IsValid, $"{resource.Name} is taken from the manifest and refused by the decoder: {string.Join("; ", decoded.Errors)}");
        }

        return model.Problems.IsEmpty ? $"{model.Services.Count} {model.Routes.Length} {model.Policies.Length}" : new string([.. model.Problems[0].What.Where(char.IsAsciiLetter).Take(30)]);
    }

    /// <summary>Some endpoints are meshed, some are not.</summary>
    internal sealed class EveryOther : IMeshMarks
    {
        public bool IsMeshed(string hostPort, SpiffeId id) => hostPort.Length % 2 == 0;

        public bool IsTransparent(string hostPort, SpiffeId id) => hostPort.Length % 4 == 0;
    }
}

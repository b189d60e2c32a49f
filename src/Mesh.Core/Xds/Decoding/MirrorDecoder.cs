using Mesh.Config;
using Wire = Mesh.Protos.Envoy.Route;

namespace Mesh.Xds.Decoding;

/// <summary>Copies of calls (<c>request_mirror_policies</c>).</summary>
internal static class MirrorDecoder
{
    /// <summary>More would make one call a storm.</summary>
    private const int Max = 8;

    /// <returns>Those that copy anything.</returns>
    public static IReadOnlyList<Mirror> Decode(IReadOnlyList<Wire.RouteAction.Types.RequestMirrorPolicy> given, string path, DecodeErrors errors)
    {
        if (given.Count == 0)
        {
            return [];
        }

        if (given.Count > Max)
        {
            errors.Add(path, $"has {given.Count} entries", $"Use at most {Max}.");
        }

        var mirrors = new List<Mirror>(given.Count);
        for (var i = 0; i < given.Count; i++)
        {
            var share = FractionDecoder.PerMillion(given[i].RuntimeFraction, $"{path}[{i}].runtime_fraction", errors) ?? 1_000_000;
            if (given[i].Cluster.Length == 0)
            {
                errors.Add($"{path}[{i}].cluster", "is empty", "Name the cluster.");
            }
            else if (share > 0)
            {
                mirrors.Add(new Mirror(given[i].Cluster, share));
            }
        }

        return mirrors;
    }
}

using Mesh.Config;
using Wire = Mesh.Protos.Envoy.Route;

namespace Mesh.Xds.Decoding;

/// <summary>What a call's hash is made of (gRFC A42). Cookies, addresses and query parameters are skipped, as gRPC does.</summary>
internal static class HashPolicyDecoder
{
    public static IReadOnlyList<HashPolicy> Decode(IReadOnlyList<Wire.RouteAction.Types.HashPolicy> given, string path, DecodeErrors errors)
    {
        List<HashPolicy>? policies = null;
        for (var i = 0; i < given.Count; i++)
        {
            if (One(given[i], $"{path}[{i}]", errors) is { } policy)
            {
                (policies ??= []).Add(policy);
            }
        }

        return policies ?? (IReadOnlyList<HashPolicy>)[];
    }

    private static HashPolicy? One(Wire.RouteAction.Types.HashPolicy given, string path, DecodeErrors errors)
    {
        switch (given.PolicySpecifierCase)
        {
            case Wire.RouteAction.Types.HashPolicy.PolicySpecifierOneofCase.Header:
                if (given.Header.HeaderName.Length == 0)
                {
                    errors.Add($"{path}.header.header_name", "is empty", "Name the header.");
                }

                return new HashPolicy(given.Header.HeaderName.ToLowerInvariant(), given.Terminal)
                {
                    Rewrite = TextRewriteDecoder.Decode(given.Header.RegexRewrite, $"{path}.header.regex_rewrite", errors),
                };
            case Wire.RouteAction.Types.HashPolicy.PolicySpecifierOneofCase.FilterState:
                return given.FilterState.Key == "io.grpc.channel_id" ? new HashPolicy(null, given.Terminal) : null;
            default:
                return null;
        }
    }
}

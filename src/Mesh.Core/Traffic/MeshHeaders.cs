namespace Mesh.Traffic;

/// <summary>Names of request headers that belong to the mesh.</summary>
internal static class MeshHeaders
{
    /// <summary>Taken from mesh peers alone.</summary>
    public const string Prefix = "x-mesh-";

    /// <summary>What was verified of a user's token: sent to mesh peers alone.</summary>
    public const string ClaimPrefix = "x-mesh-claim-";

    /// <summary>Tells a sidecar in which version of HTTP a request was written that rides HTTP/2 to it (<c>HTTP/1.1</c>, <c>HTTP/1.0</c>, with <c>; absolute-form</c> where its target was one): the app behind it gets it so. Taken from mesh peers alone.</summary>
    public const string OriginalProtocol = "mesh-orig-proto";

    /// <summary>Tells the app behind a sidecar who called: the verified SPIFFE ID. Taken from nobody.</summary>
    public const string ClientId = "mesh-client-id";

    /// <summary>Whether a caller that is no verified peer may say anything by this header.</summary>
    /// <param name="fromProxy">A proxy that is trusted: it may tell of the way of a request, but of nobody who he is.</param>
    public static bool MayComeFromOutside(string name, bool fromProxy)
    {
        // Almost all others are told by their first letter.
        if (name.Length == 0 || (name[0] | 0x20) is not ('x' or 'm' or 'f' or 'r'))
        {
            return true;
        }

        if (Is(name, "forwarded") || Is(name, "x-real-ip") || Is(name, "x-envoy-external-address") || (Begins(name, "x-forwarded-") && !Is(name, "x-forwarded-client-cert")))
        {
            return fromProxy;
        }

        return !(Begins(name, "x-forwarded-") || Begins(name, "x-envoy-") || Begins(name, "mesh-") || Begins(name, Prefix) || Is(name, DeadlineHeaders.Http));
    }

    private static bool Is(string name, string other) => name.Equals(other, StringComparison.OrdinalIgnoreCase);

    private static bool Begins(string name, string prefix) => name.StartsWith(prefix, StringComparison.OrdinalIgnoreCase);
}

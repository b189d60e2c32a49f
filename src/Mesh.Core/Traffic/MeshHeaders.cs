namespace Mesh.Traffic;

/// <summary>Names of request headers that belong to the mesh.</summary>
internal static class MeshHeaders
{
    /// <summary>Taken from mesh peers alone.</summary>
    public const string Prefix = "x-mesh-";

    /// <summary>What was verified of a user's token: sent to mesh peers alone.</summary>
    public const string ClaimPrefix = "x-mesh-claim-";
}

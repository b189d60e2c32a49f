namespace Mesh.Hosting;

/// <summary>Whether the mesh is on in this process. Decided once, at start.</summary>
internal sealed record MeshActivation(bool IsOn)
{
    /// <summary>On as soon as anything that only a mesh needs is set; the validator then asks for the rest.</summary>
    public static MeshActivation From(MeshOptions options) => new(
        !string.IsNullOrWhiteSpace(options.ControlPlane) || !string.IsNullOrWhiteSpace(options.TrustBundle)
        || !string.IsNullOrWhiteSpace(options.Token) || !string.IsNullOrWhiteSpace(options.TokenFile)
        || !string.IsNullOrWhiteSpace(options.CertificateFile) || !string.IsNullOrWhiteSpace(options.KeyFile) || !string.IsNullOrWhiteSpace(options.WorkloadApi));
}

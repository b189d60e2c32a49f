namespace Mesh.ControlPlane;

/// <summary>Keys of the certificates that the control plane's own authority makes for itself.</summary>
public enum CaKeyKind
{
    /// <summary>EC on NIST P-256.</summary>
    P256,

    /// <summary>EC on NIST P-384.</summary>
    P384,
}

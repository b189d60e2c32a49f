namespace Mesh.ControlPlane;

/// <summary>Whether a port takes plaintext beside mesh TLS.</summary>
public enum MtlsMode
{
    /// <summary>Plaintext and mesh TLS.</summary>
    Permissive,

    /// <summary>Mesh TLS only; probes of the Pod are answered in plaintext too.</summary>
    Strict,
}

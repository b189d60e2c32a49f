namespace Mesh.ControlPlane;

/// <summary>Who may call a port where no Allow rule says otherwise.</summary>
public enum AccessMode
{
    /// <summary>Everybody, in plaintext too.</summary>
    AllUnauthenticated,

    /// <summary>Whoever shows an identity of the mesh's trust domain.</summary>
    AllAuthenticated,

    /// <summary>Everybody whose address is in the cluster networks.</summary>
    ClusterUnauthenticated,

    /// <summary>Whoever shows an identity of the mesh's trust domain from an address in the cluster networks.</summary>
    ClusterAuthenticated,

    /// <summary>Nobody.</summary>
    Deny,

    /// <summary>Everybody; what Allow rules would refuse is counted.</summary>
    Audit,
}

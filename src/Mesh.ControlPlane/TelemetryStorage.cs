namespace Mesh.ControlPlane;

/// <summary>Where measurements are kept.</summary>
public enum TelemetryStorage
{
    /// <summary>In the data folder: they survive a restart.</summary>
    Disk,

    /// <summary>In memory: they go with the process.</summary>
    Memory,
}

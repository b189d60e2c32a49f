namespace Mesh.Balancing;

/// <summary>What an endpoint said of its own load (ORCA, gRFC A51).</summary>
/// <param name="Utilization">0 or more, 1 is full: the application's, else the named metrics', else the CPU's; 0 is unknown.</param>
/// <param name="QueriesPerSecond">Calls it serves; 0 is unknown.</param>
/// <param name="ErrorsPerSecond">Calls it fails.</param>
internal readonly record struct LoadReport(double Utilization, double QueriesPerSecond, double ErrorsPerSecond);

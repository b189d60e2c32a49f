namespace Mesh.Telemetry;

/// <summary>Which calls are traced.</summary>
/// <param name="Ratio">Of calls that begin here, 0–1.</param>
/// <param name="Failed">Also failed and slow ones that were not chosen: as one span, made when they have ended.</param>
/// <param name="SlowerThan">What slow is; zero is never.</param>
/// <param name="ContinuesRequests">A proxy: what a request belongs to is said by its headers and not by the flow that sends it.</param>
internal sealed record TraceSettings(double Ratio, bool Failed, TimeSpan SlowerThan, bool ContinuesRequests = false);

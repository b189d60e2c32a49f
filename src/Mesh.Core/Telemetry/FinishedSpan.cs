using System.Diagnostics;

namespace Mesh.Telemetry;

/// <summary>A span of the mesh that is over. What it says is read when it is sent, not on the call's way.</summary>
/// <param name="Activity">Its ids, tags and events. Maybe not ended yet: a server's own ends after the mesh is done with it.</param>
/// <param name="Facts">Said of it by the mesh beside its tags; null is none.</param>
internal sealed record FinishedSpan(Activity Activity, string Name, ActivityKind Kind, DateTime Start, TimeSpan Duration, bool Failed, KeyValuePair<string, object?>[]? Facts = null);

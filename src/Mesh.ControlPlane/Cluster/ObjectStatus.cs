using System.Text.Json.Nodes;

namespace Mesh.ControlPlane.Cluster;

/// <summary>What an object of the cluster shall say of itself, as far as we are its controller.</summary>
/// <param name="ResourcePath">Of the object; its status is below it at <c>/status</c>.</param>
/// <param name="Generation">The one that was read, for a writer that must not answer an older one over a newer.</param>
/// <param name="Status">
/// <c>parents</c> of a route, or <c>ancestors</c> and <c>conditions</c> of a policy, in the spelling of the API. Entries of <c>parents</c> and <c>ancestors</c> are ours alone:
/// those of other controllers stay beside them. No condition has a <c>lastTransitionTime</c>: who writes them knows when one changed.
/// </param>
internal sealed record ObjectStatus(string ResourcePath, long Generation, JsonObject Status);

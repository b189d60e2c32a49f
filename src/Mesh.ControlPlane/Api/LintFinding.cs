namespace Mesh.ControlPlane.Api;

/// <summary>Something about a policy that is valid and probably not meant.</summary>
/// <param name="Id">Which kind of finding, such as <c>shadowed</c>.</param>
/// <param name="Severity"><c>error</c> or <c>warning</c>.</param>
/// <param name="Policy">Its kind, namespace and name.</param>
/// <param name="Rule">Null where it is about the whole policy.</param>
/// <param name="Where">File and line.</param>
internal sealed record LintFinding(string Id, string Severity, string Policy, string? Rule, string Where, string Message, string Fix);

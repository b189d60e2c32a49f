namespace Mesh.ControlPlane.Api;

/// <summary>Says what bearers of others' tokens may do at the API. Thread-safe.</summary>
internal interface IApiAccess
{
    /// <param name="changes">The request changes something.</param>
    /// <returns>200, or the HTTP status of the refusal and why.</returns>
    ValueTask<(int Status, string Why)> JudgeAsync(string token, bool changes, CancellationToken cancellationToken);
}

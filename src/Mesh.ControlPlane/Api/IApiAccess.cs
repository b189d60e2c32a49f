namespace Mesh.ControlPlane.Api;

/// <summary>Says what bearers of others' tokens may do at the API. Thread-safe.</summary>
internal interface IApiAccess
{
    ValueTask<ApiVerdict> JudgeAsync(string token, ApiRight right, CancellationToken cancellationToken);
}

/// <param name="Status">200, or the HTTP status of the refusal.</param>
/// <param name="Why">Of a refusal.</param>
/// <param name="Who">Whose token it is; empty when nobody's.</param>
internal sealed record ApiVerdict(int Status, string Why, string Who);

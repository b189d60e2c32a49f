namespace Mesh.Balancing;

/// <summary>An endpoint sits out from now on.</summary>
/// <param name="Reason">A word that metrics show: <see cref="ConsecutiveFailures"/> and so on.</param>
/// <param name="Detail">The numbers behind it, for people.</param>
/// <param name="Time">How long.</param>
internal sealed record Ejection(BalancedEndpoint Endpoint, string Reason, string Detail, TimeSpan Time)
{
    public const string ConsecutiveFailures = "consecutive_failures";
    public const string SuccessRate = "success_rate";
    public const string FailurePercentage = "failure_percentage";
    public const string HealthCheck = "health_check";
}

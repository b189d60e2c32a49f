namespace Mesh.ControlPlane.Api;

/// <summary>Writes down what is tapped and changed, and by whom. Thread-safe.</summary>
internal interface IAuditLog
{
    /// <summary>Newest first.</summary>
    IReadOnlyList<AuditEntry> Newest { get; }

    /// <summary>The gate writes each request that taps or changes by itself; this is for what a request alone does not tell.</summary>
    /// <param name="status">With which answer; null: that of the response so far.</param>
    void Write(HttpContext context, string what, int? status = null);
}

/// <param name="From">The caller's address.</param>
/// <param name="Status">Of the answer.</param>
internal sealed record AuditEntry(DateTimeOffset At, string Who, string From, string What, int Status);

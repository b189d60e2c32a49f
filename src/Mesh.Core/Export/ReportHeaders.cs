namespace Mesh.Export;

/// <summary>What a report of measurements says of itself beside OTLP, so that the control plane knows when some are missing.</summary>
internal static class ReportHeaders
{
    /// <summary>Which run of the workload: another value is another process, which knows nothing of what the one before it had not sent.</summary>
    public const string Run = "mesh-report-run";

    /// <summary>Which message of the run: one that is sent again, because no answer came, has the number that it had. Counts from 1, and one is on its way at a time.</summary>
    public const string Number = "mesh-report-number";

    /// <summary><c>1</c>: the workload stops, and this is all.</summary>
    public const string Last = "mesh-report-last";

    /// <summary>Measurements were given up because nobody took them: from so many seconds ago, a point, to so many.</summary>
    public const string Dropped = "mesh-report-dropped";
}

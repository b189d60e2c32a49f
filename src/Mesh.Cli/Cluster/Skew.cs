using System.Globalization;

namespace Mesh.Cli.Cluster;

/// <summary>Which versions may follow each other: the data plane may be one minor version behind, so the control plane goes one at a time.</summary>
internal static class Skew
{
    /// <summary>Why the one may not follow the other; null when it may.</summary>
    public static string? Problem(string from, string to)
    {
        if (Parse(from) is not { } old || Parse(to) is not { } next)
        {
            return $"'{(Parse(from) is null ? from : to)}' is no version that can be compared";
        }

        return next.CompareTo(old) < 0 ? $"{to} is older: what {from} wrote it may not understand"
            : next.Major != old.Major || next.Minor - old.Minor > 1 ? "workloads are at most one minor version behind their control plane, and these are further apart"
            : null;
    }

    /// <summary>Whether a workload's version goes with a control plane's.</summary>
    public static bool FitsBehind(string workload, string controlPlane) =>
        Parse(workload) is { } old && Parse(controlPlane) is { } now && old.Major == now.Major && old.Minor <= now.Minor && now.Minor - old.Minor <= 1;

    private static Version? Parse(string text) => Version.TryParse(text.Split('-', '+')[0], out var version) && version.Build >= 0 ? version : null;

    /// <summary>For people: <c>1 pod</c>, <c>2 pods</c>.</summary>
    public static string Count(int number, string what) => $"{number.ToString(CultureInfo.InvariantCulture)} {what}{(number == 1 ? string.Empty : "s")}";
}

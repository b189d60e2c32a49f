using System.Globalization;

namespace Mesh.ControlPlane.Model.Policies;

/// <summary>One thing that a policy can say, such as <c>retry.attempts</c>. Each stands once, in a static field of its kind.</summary>
/// <param name="name">Area and field, as <c>mesh config explain</c> prints it.</param>
internal abstract class Setting(string name)
{
    public string Name => name;

    /// <summary>False where the setting has no effect beside the others, such as the size of a ring without a ring: it is then not printed.</summary>
    public Func<EffectiveSettings, bool> Matters { get; init; } = static _ => true;

    public abstract object DefaultValue { get; }

    /// <summary>A value as people read it.</summary>
    public abstract string Show(object value);
}

/// <param name="fallback">What holds where no policy says anything: the mesh's own default.</param>
/// <param name="show">How a value is written for people.</param>
internal sealed class Setting<T>(string name, T fallback, Func<T, string> show) : Setting(name)
    where T : notnull
{
    public T Default => fallback;

    public override object DefaultValue => fallback;

    public override string Show(object value) => show((T)value);
}

/// <summary>How values are written for people.</summary>
internal static class Shown
{
    /// <summary>Zero is "none", as in Gateway API.</summary>
    public static string Time(TimeSpan time) => time == TimeSpan.Zero ? "none" : Length(time);

    public static string Length(TimeSpan time) => time == TimeSpan.Zero ? "0s" : string.Concat(
        Part((int)time.TotalHours, "h"), Part(time.Minutes, "m"), Part(time.Seconds, "s"), Part(time.Milliseconds, "ms"));

    public static string Number(int number) => number.ToString(CultureInfo.InvariantCulture);

    public static string Number(double number) => number.ToString(CultureInfo.InvariantCulture);

    public static string Percent(int percent) => $"{Number(percent)} %";

    /// <summary>Zero is no limit.</summary>
    public static string Limit(int number) => number == 0 ? "no limit" : Number(number);

    public static string Flag(bool on) => on ? "yes" : "no";

    public static string List<T>(IReadOnlyCollection<T> items, Func<T, string> show) => items.Count == 0 ? "none" : string.Join(", ", items.Select(show));

    private static string Part(int number, string unit) => number == 0 ? string.Empty : Number(number) + unit;
}

using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Mesh.Config;

namespace Mesh.Xds.Decoding;

/// <summary>Gathers everything wrong with one resource, so that its author fixes it in one go. Not thread-safe: lives for one decoding.</summary>
internal sealed class DecodeErrors
{
    private readonly List<ConfigError> _all = [];

    public IReadOnlyList<ConfigError> All => _all;

    public int Count => _all.Count;

    public void Add(string path, string problem, string fix = "") => _all.Add(new ConfigError(path, problem, fix));

    /// <summary>What Google.Protobuf throws for bytes that are no message; some broken wrapper values end in InvalidOperationException (3.36).</summary>
    public static bool IsBadBytes(Exception e) => e is InvalidProtocolBufferException or InvalidOperationException;

    /// <summary>The model when nothing was wrong, else the errors.</summary>
    public DecodeResult Result(string name, object? model) => _all.Count == 0 ? new(name, model, []) : new(name, null, _all);

    /// <summary>The typed content of an Any; null when it is of another type or broken, which is then noted.</summary>
    public T? Unpack<T>(Any? any, string path)
        where T : class, IMessage<T>, new()
    {
        var expected = new T();
        if (any is null)
        {
            Add(path, "is not set", $"Put a {expected.Descriptor.FullName} there.");
            return null;
        }

        if (!any.Is(expected.Descriptor))
        {
            Add(path, $"has the type '{any.TypeUrl}'", $"Use a {expected.Descriptor.FullName}.");
            return null;
        }

        try
        {
            expected.MergeFrom(any.Value);
            return expected;
        }
        catch (Exception e) when (IsBadBytes(e))
        {
            Add(path, $"cannot be parsed as {expected.Descriptor.FullName}: {e.Message}");
            return null;
        }
    }

    /// <summary>A time span of zero or more; null when absent or wrong, the latter noted.</summary>
    public TimeSpan? Time(Duration? duration, string path)
    {
        if (duration is null)
        {
            return null;
        }

        // ±10,000 years and matching signs, as google.protobuf.Duration promises; ToTimeSpan would throw.
        if (duration.Seconds is < 0 or > 315_576_000_000 || duration.Nanos is < 0 or > 999_999_999)
        {
            Add(path, $"is {duration.Seconds} s and {duration.Nanos} ns", "Use a duration of zero or more, nanos 0–999,999,999.");
            return null;
        }

        return TimeSpan.FromTicks((duration.Seconds * TimeSpan.TicksPerSecond) + (duration.Nanos / 100));
    }

    /// <summary>A percentage; the default when absent or wrong, the latter noted.</summary>
    public int Percent(uint? value, int absent, string path)
    {
        if (value > 100)
        {
            Add(path, $"is {value}", "Use 0–100.");
            return absent;
        }

        return (int?)value ?? absent;
    }
}

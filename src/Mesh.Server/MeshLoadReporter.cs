using System.Globalization;
using System.Text;
using Google.Protobuf;
using Mesh.Protos.Orca;

namespace Mesh.Server;

/// <summary>What this workload tells its callers of its own load (ORCA), so that they can send more calls to replicas that have room. Thread-safe.</summary>
/// <remarks>
/// Registered by <c>UseMesh()</c> as a singleton. Nothing need be set: calls per second, failed calls per second and the CPU's utilization are measured.
/// An application that knows its limit better (a queue, a pool, a GPU) sets <see cref="ApplicationUtilization"/>, which callers then go by.
/// Reports go to callers of the mesh that want them, with each answer or on a stream of their own; to others only when <c>Mesh:Server:ReportLoadToAll</c> is on.
/// </remarks>
public sealed class MeshLoadReporter
{
    // Rates and the CPU's share are measured no more often than this, and what is older than some seconds hardly counts.
    private static readonly TimeSpan MeasureEvery = TimeSpan.FromMilliseconds(250);
    private const double MemorySeconds = 5;

    private readonly TimeProvider _time;
    private readonly Func<TimeSpan> _cpuTime;
    private readonly Lock _lock = new();
    private readonly Dictionary<string, double> _metrics = new(StringComparer.Ordinal);
    private double? _application;
    private double? _cpu;
    private double? _memory;
    private long _requests;
    private long _failures;
    private Rates _rates;
    private Report? _report;

    internal MeshLoadReporter(TimeProvider time)
        : this(time, () => Environment.CpuUsage.TotalTime)
    {
    }

    /// <param name="cpuTime">What this process has used of all CPUs so far.</param>
    internal MeshLoadReporter(TimeProvider time, Func<TimeSpan> cpuTime)
    {
        (_time, _cpuTime) = (time, cpuTime);
        _rates = new Rates(time.GetTimestamp(), cpuTime(), 0, 0, 0, 0, 0);
    }

    /// <summary>How full the application is: 0 is idle, 1 is full, more is overloaded. Default: null, not known; callers then go by <see cref="CpuUtilization"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative or not finite.</exception>
    public double? ApplicationUtilization
    {
        get => Read(ref _application);
        set => Write(ref _application, value);
    }

    /// <summary>How busy the CPUs are: 0 is idle, 1 is all that this process may use. Default: null, which measures this process against all of the machine's CPUs (or its container's limit).</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative or not finite.</exception>
    public double? CpuUtilization
    {
        get => Read(ref _cpu);
        set => Write(ref _cpu, value);
    }

    /// <summary>How full the memory is: 0–1. Default: null, not reported.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative or not finite.</exception>
    public double? MemoryUtilization
    {
        get => Read(ref _memory);
        set => Write(ref _memory, value);
    }

    /// <summary>Reports a number of the application's own under a name; a load-balancing policy refers to it as <c>named_metrics.&lt;name&gt;</c>.</summary>
    /// <param name="name">1–128 characters, neither control characters nor any of <c>, = "</c>.</param>
    /// <param name="value">0 or more; 1 is full when a policy balances by it.</param>
    /// <exception cref="ArgumentException">The name can't be reported.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative or not finite.</exception>
    public void SetMetric(string name, double value)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        if (name.Length > 128 || name.Any(c => char.IsControl(c) || c is ',' or '=' or '"'))
        {
            throw new ArgumentException($"The metric '{name}' can't be reported. Use 1–128 characters without control characters and without any of: , = \"", nameof(name));
        }

        Check(value);
        lock (_lock)
        {
            _metrics[name] = value;
            _report = null;
        }
    }

    /// <summary>Reports it no more.</summary>
    /// <param name="name">As given to <see cref="SetMetric"/>; one that is not reported is fine.</param>
    public void RemoveMetric(string name)
    {
        lock (_lock)
        {
            _metrics.Remove(name);
            _report = null;
        }
    }

    /// <summary>A request was served.</summary>
    internal void Count(bool success)
    {
        Interlocked.Increment(ref _requests);
        if (!success)
        {
            Interlocked.Increment(ref _failures);
        }
    }

    /// <summary>The report as of now, already in its forms: a busy server writes one for many answers.</summary>
    internal Report Current()
    {
        var now = _time.GetTimestamp();
        if (Volatile.Read(ref _report) is { } report && _time.GetElapsedTime(report.MadeAt, now) < MeasureEvery)
        {
            return report;
        }

        lock (_lock)
        {
            MeasureLocked(now);
            return _report = MakeLocked(now);
        }
    }

    private void MeasureLocked(long now)
    {
        var elapsed = _time.GetElapsedTime(_rates.At, now);
        if (elapsed < MeasureEvery)
        {
            return;
        }

        var (requests, failures, cpu) = (Interlocked.Read(ref _requests), Interlocked.Read(ref _failures), _cpuTime());
        var believe = _rates.Seen ? 1 - Math.Exp(-elapsed.TotalSeconds / MemorySeconds) : 1;
        _rates = new Rates(
            now,
            cpu,
            requests,
            failures,
            Blend(_rates.RequestsPerSecond, (requests - _rates.Requests) / elapsed.TotalSeconds, believe),
            Blend(_rates.FailuresPerSecond, (failures - _rates.Failures) / elapsed.TotalSeconds, believe),
            Blend(_rates.Cpu, Math.Max(0, (cpu - _rates.CpuTime) / elapsed / Environment.ProcessorCount), believe))
        {
            Seen = true,
        };
    }

    private Report MakeLocked(long now)
    {
        var message = new OrcaLoadReport
        {
            ApplicationUtilization = _application ?? 0,
            CpuUtilization = _cpu ?? _rates.Cpu,
            MemUtilization = _memory ?? 0,
            RpsFractional = _rates.RequestsPerSecond,
            Eps = _rates.FailuresPerSecond,
        };
        var text = new StringBuilder("TEXT ");
        Add("cpu_utilization", message.CpuUtilization);
        Add("rps_fractional", message.RpsFractional);
        Add("eps", message.Eps);
        if (_application is { } application)
        {
            Add("application_utilization", application);
        }

        if (_memory is { } memory)
        {
            Add("mem_utilization", memory);
        }

        foreach (var (name, value) in _metrics)
        {
            message.NamedMetrics[name] = value;
            // A header carries ASCII alone; the binary form carries every name.
            if (Ascii.IsValid(name))
            {
                Add("named_metrics." + name, value);
            }
        }

        var bytes = message.ToByteArray();
        return new Report(now, bytes, Convert.ToBase64String(bytes), text.ToString());

        void Add(string name, double value) => text.Append(text.Length > 5 ? ", " : "").Append(CultureInfo.InvariantCulture, $"{name}={value:0.#####}");
    }

    private double? Read(ref double? field)
    {
        lock (_lock)
        {
            return field;
        }
    }

    private void Write(ref double? field, double? value)
    {
        if (value is { } given)
        {
            Check(given);
        }

        lock (_lock)
        {
            field = value;
            _report = null;
        }
    }

    private static double Blend(double old, double sample, double believe) => old + ((sample - old) * believe);

    private static void Check(double value)
    {
        if (!(value >= 0) || !double.IsFinite(value))
        {
            throw new ArgumentOutOfRangeException(nameof(value), value, "Use a finite number of 0 or more.");
        }
    }

    /// <param name="Base64">For <c>endpoint-load-metrics-bin</c>.</param>
    /// <param name="Text">For <c>endpoint-load-metrics</c>.</param>
    internal sealed record Report(long MadeAt, byte[] Bytes, string Base64, string Text);

    private readonly record struct Rates(long At, TimeSpan CpuTime, long Requests, long Failures, double RequestsPerSecond, double FailuresPerSecond, double Cpu)
    {
        public bool Seen { get; init; }
    }
}

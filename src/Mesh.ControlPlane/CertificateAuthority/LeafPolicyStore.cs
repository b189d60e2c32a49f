using System.Globalization;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>What is asked of every leaf: how long it lives, and that older ones are renewed. Survives a restart. Thread-safe.</summary>
internal sealed class LeafPolicyStore
{
    /// <summary>Name of the one LeafPolicy resource.</summary>
    public const string ResourceName = "default";

    public static readonly TimeSpan ShortestLife = TimeSpan.FromSeconds(10);
    public static readonly TimeSpan LongestLife = TimeSpan.FromDays(90);

    private const string FileName = "leaf-policy.txt";
    private readonly DataFolder _data;
    private readonly TimeProvider _time;
    private readonly Lock _lock = new();
    private long _issuedAfterTicks;
    private long _lifeTicks;
    private Action? _changed;

    public LeafPolicyStore(DataFolder data, TimeProvider time, TimeSpan life)
    {
        (_data, _time) = (data, time);
        _lifeTicks = life.Ticks;
        var read = data.Exists(FileName) && DateTimeOffset.TryParse(data.ReadText(FileName), CultureInfo.InvariantCulture, out var at) ? at : DateTimeOffset.UnixEpoch;
        _issuedAfterTicks = read.UtcTicks;
    }

    /// <summary>Leaves issued before this moment are renewed at once; the Unix epoch when nothing was rotated yet.</summary>
    public DateTimeOffset IssuedAfter => new(Interlocked.Read(ref _issuedAfterTicks), TimeSpan.Zero);

    /// <summary>Life of the leaves issued from now on.</summary>
    public TimeSpan LeafLife
    {
        get => TimeSpan.FromTicks(Interlocked.Read(ref _lifeTicks));
        set => Interlocked.Exchange(ref _lifeTicks, value.Ticks);
    }

    /// <summary>Called after each rotation; it must not block or throw.</summary>
    public void Subscribe(Action changed) => _changed += changed;

    /// <summary>Asks every workload for a new leaf.</summary>
    public DateTimeOffset Rotate()
    {
        DateTimeOffset now;
        lock (_lock)
        {
            now = _time.GetUtcNow();
            _data.Write(FileName, now.ToString("O", CultureInfo.InvariantCulture), secret: false);
            Interlocked.Exchange(ref _issuedAfterTicks, now.UtcTicks);
        }

        _changed?.Invoke();
        return now;
    }
}

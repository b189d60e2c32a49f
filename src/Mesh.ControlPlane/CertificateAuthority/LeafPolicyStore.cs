using System.Globalization;
using System.Text;
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
    private readonly IStateStore _data;
    private readonly TimeProvider _time;
    private readonly Lock _lock = new();
    private readonly long _optionTicks;
    private long _issuedAfterTicks;
    private long _lifeTicks;
    private Action? _changed;

    public LeafPolicyStore(IStateStore data, TimeProvider time, TimeSpan life)
    {
        (_data, _time) = (data, time);
        _optionTicks = life.Ticks;
        (_issuedAfterTicks, _lifeTicks) = Read(data, life);
    }

    /// <summary>Leaves issued before this moment are renewed at once; the Unix epoch when nothing was rotated yet.</summary>
    public DateTimeOffset IssuedAfter => new(Interlocked.Read(ref _issuedAfterTicks), TimeSpan.Zero);

    /// <summary>Life of the leaves issued from now on.</summary>
    public TimeSpan LeafLife
    {
        get => TimeSpan.FromTicks(Interlocked.Read(ref _lifeTicks));
        set
        {
            lock (_lock)
            {
                if (_data.IsShared)
                {
                    WriteLocked(IssuedAfter, value);
                }

                Interlocked.Exchange(ref _lifeTicks, value.Ticks);
            }
        }
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
            WriteLocked(now, LeafLife);
            Interlocked.Exchange(ref _issuedAfterTicks, now.UtcTicks);
        }

        _changed?.Invoke();
        return now;
    }

    /// <summary>Takes what another replica has kept.</summary>
    public void Take(IStateStore kept)
    {
        var (issuedAfter, life) = Read(kept, TimeSpan.FromTicks(_optionTicks));
        bool rotated;
        lock (_lock)
        {
            rotated = issuedAfter != _issuedAfterTicks;
            Interlocked.Exchange(ref _issuedAfterTicks, issuedAfter);
            Interlocked.Exchange(ref _lifeTicks, life);
        }

        if (rotated)
        {
            _changed?.Invoke();
        }
    }

    /// <summary>A life that the API has set stands beside the moment where replicas share it: else it is the option's again after a restart.</summary>
    private void WriteLocked(DateTimeOffset issuedAfter, TimeSpan life)
    {
        var text = issuedAfter.ToString("O", CultureInfo.InvariantCulture);
        if (_data.IsShared && life.Ticks != _optionTicks)
        {
            text += string.Create(CultureInfo.InvariantCulture, $"\n{life:c}");
        }

        _data.Write(FileName, Encoding.UTF8.GetBytes(text), secret: false);
    }

    private static (long IssuedAfter, long Life) Read(IStateStore data, TimeSpan option)
    {
        var lines = data.Exists(FileName) ? data.ReadText(FileName).Split('\n') : [];
        var at = lines.Length > 0 && DateTimeOffset.TryParse(lines[0], CultureInfo.InvariantCulture, out var read) ? read : DateTimeOffset.UnixEpoch;
        return (at.UtcTicks, lines.Length > 1 && TimeSpan.TryParse(lines[1], CultureInfo.InvariantCulture, out var life) ? life.Ticks : option.Ticks);
    }
}

using System.Text;
using System.Text.Json;
using Mesh.ControlPlane.Model;
using Mesh.Spiffe;
using X509Certificate = Org.BouncyCastle.X509.X509Certificate;

namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>One identity or certificate that is not to be believed any more.</summary>
/// <param name="Id">The identity; null when it is one certificate.</param>
/// <param name="Serial">Of one certificate; null when it is all of an identity.</param>
/// <param name="Until">When the certificate is over; null for an identity, and for a certificate that we did not issue or note.</param>
internal sealed record Revocation(string? Id, string? Serial, string? Reason, DateTimeOffset RevokedAt, DateTimeOffset? Until)
{
    /// <summary>Why every workload would refuse a trust bundle that tells it; null when it can be told.</summary>
    public string? ProblemIn(TrustDomain trustDomain) =>
        Id is not null && !(SpiffeId.TryParse(Id, out var id) && id.TrustDomain == trustDomain)
            ? $"'{Id}' is no identity of the trust domain '{trustDomain}'. Others are not believed anyway."
        : Serial is not null && Certificates.NormalSerial(Serial) != Serial
            ? $"'{Serial}' is no serial number. Give 1–{Certificates.MaxSerialDigits} digits of lower-case hexadecimal without leading zeros."
        : null;
}

/// <summary>Which roots are trusted and who is revoked, as everybody is told it. Revocations survive a restart; the roots come from the authority. Thread-safe.</summary>
internal sealed class TrustBundleStore
{
    /// <summary>What workloads are started with: all roots in force, PEM.</summary>
    public const string FileName = "trust-bundle.pem";

    private const string RevocationsFile = "revocations.json";
    private const int MaxRevocations = 10_000;

    /// <summary>How long an entry outlives its certificate: clocks, ours among them, may jump back.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromDays(7);
    private readonly IStateStore _data;
    private readonly TrustDomain _trustDomain;
    private readonly TimeProvider _time;
    private readonly Lock _lock = new();
    private IReadOnlyList<X509Certificate> _roots = [];
    private IReadOnlyList<Revocation> _revocations = [];
    private volatile TrustSnapshot? _current;
    private Action? _changed;

    /// <exception cref="InvalidDataException">The revocations on disk can't be read: nobody is believed again by accident.</exception>
    public TrustBundleStore(IStateStore data, TrustDomain trustDomain, TimeProvider time)
    {
        (_data, _trustDomain, _time) = (data, trustDomain, time);
        Chains = new PeerChains(time);
        _revocations = Read(data);
    }

    /// <summary>What is in force; there is one as soon as the authority was found.</summary>
    public TrustSnapshot Current => _current ?? throw new InvalidOperationException("The authority was not found yet.");

    /// <summary>What connected peers' certificates rest on.</summary>
    public PeerChains Chains { get; }

    public IReadOnlyList<Revocation> Revocations
    {
        get
        {
            lock (_lock)
            {
                return _revocations;
            }
        }
    }

    /// <summary>Called after each change; it must not block or throw.</summary>
    public void Subscribe(Action changed) => _changed += changed;

    /// <summary>Roots in force, the one that signs first.</summary>
    public void SetRoots(IReadOnlyList<X509Certificate> roots)
    {
        lock (_lock)
        {
            var next = new TrustSnapshot(_trustDomain, roots, _revocations);
            _data.Write(FileName, Encoding.UTF8.GetBytes(next.Pem), secret: false);
            _roots = roots;
            PublishLocked(next);
        }
    }

    /// <summary>Takes what another replica has kept.</summary>
    public void Take(IReadOnlyList<X509Certificate> roots, IReadOnlyList<Revocation> revocations)
    {
        lock (_lock)
        {
            var next = new TrustSnapshot(_trustDomain, roots, revocations);
            if (next.Pem != _current?.Pem)
            {
                _data.Write(FileName, Encoding.UTF8.GetBytes(next.Pem), secret: false);
            }

            (_roots, _revocations) = (roots, revocations);
            PublishLocked(next);
        }
    }

    /// <summary>The revocations that are kept.</summary>
    /// <exception cref="InvalidDataException">They can't be read.</exception>
    public static IReadOnlyList<Revocation> Read(IStateStore data)
    {
        if (!data.Exists(RevocationsFile))
        {
            return [];
        }

        try
        {
            return JsonSerializer.Deserialize<List<Revocation>>(data.ReadText(RevocationsFile), JsonSerializerOptions.Web) ?? [];
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"'{data.File(RevocationsFile)}' can't be read ({e.Message}). Restore it, or delete it: then everything that was revoked is believed again.", e);
        }
    }

    /// <summary>Stops believing; saying it twice changes nothing.</summary>
    /// <exception cref="ArgumentException">Every workload would refuse to be told of it.</exception>
    /// <exception cref="InvalidOperationException">There are too many.</exception>
    public Revocation Revoke(Revocation revocation)
    {
        if (revocation.ProblemIn(_trustDomain) is { } problem)
        {
            throw new ArgumentException(problem, nameof(revocation));
        }

        lock (_lock)
        {
            if (_revocations.FirstOrDefault(r => Same(r, revocation)) is { } known)
            {
                return known;
            }

            if (_revocations.Count >= MaxRevocations)
            {
                throw new InvalidOperationException($"{MaxRevocations} revocations are in force: no more are taken. Revoke an identity in place of many certificates, or undo some.");
            }

            SetLocked([.. _revocations, revocation]);
            return revocation;
        }
    }

    /// <returns>False when it was not revoked.</returns>
    public bool Undo(string? id, string? serial)
    {
        lock (_lock)
        {
            var left = _revocations.Where(r => !Same(r, new Revocation(id, serial, null, default, null))).ToList();
            if (left.Count == _revocations.Count)
            {
                return false;
            }

            SetLocked(left);
            return true;
        }
    }

    /// <summary>Drops entries of certificates that have been over for a while.</summary>
    public void Prune()
    {
        lock (_lock)
        {
            var overSince = _time.GetUtcNow() - Grace;
            if (_revocations.Any(r => r.Until < overSince))
            {
                SetLocked([.. _revocations.Where(r => !(r.Until < overSince))]);
            }
        }
    }

    private static bool Same(Revocation a, Revocation b) => a.Id == b.Id && a.Serial == b.Serial;

    /// <summary>On disk first: what can't be saved has not happened.</summary>
    private void SetLocked(IReadOnlyList<Revocation> next)
    {
        _data.Write(RevocationsFile, JsonSerializer.SerializeToUtf8Bytes(next, JsonSerializerOptions.Web), secret: false);
        _revocations = next;
        PublishLocked(new TrustSnapshot(_trustDomain, _roots, next));
    }

    private void PublishLocked(TrustSnapshot next)
    {
        var before = _current?.Version;
        _current = next;
        if (before != next.Version)
        {
            _changed?.Invoke();
        }
    }
}

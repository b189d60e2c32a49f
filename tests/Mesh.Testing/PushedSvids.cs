using Mesh.Identity;

namespace Mesh.Testing;

/// <summary>A source of certificates that gives what the test says, also nothing, late, or without being asked.</summary>
internal sealed class PushedSvids(Func<IssuedSvid> issue) : ISvidSource
{
    private int _calls;
    private Action? _onNews;

    public int Calls => Volatile.Read(ref _calls);

    public SvidException? Failure { get; set; }

    /// <summary>While set, answers wait for it.</summary>
    public Task? Until { get; set; }

    public Func<IssuedSvid> Issue { get; set; } = issue;

    public static PushedSvids From(TestCa ca, TimeSpan life) => new(() =>
    {
        var identity = ca.Identity("shop", "cart", life);
        return new IssuedSvid(identity.Svid, identity.Bundle);
    });

    public async Task<IssuedSvid> FetchAsync(WorkloadIdentity? current, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _calls);
        var issue = Issue;
        if (Until is { } until)
        {
            await until.WaitAsync(cancellationToken);
        }

        return Failure is { } failure ? throw failure : issue();
    }

    public IDisposable? Subscribe(Action onNews)
    {
        _onNews = onNews;
        return null;
    }

    public void Push() => _onNews!();
}

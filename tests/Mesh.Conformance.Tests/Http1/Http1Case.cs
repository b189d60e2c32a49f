using System.Text;
using Mesh.Conformance.Tests.Targets;
using Mesh.Conformance.Tests.Wire;

namespace Mesh.Conformance.Tests.Http1;

/// <summary>One reading of the bytes.</summary>
/// <param name="Seen">The requests that the app received whole: "METHOD target body".</param>
/// <param name="GoesOn">What follows on the connection is a request of its own, and is answered.</param>
internal sealed record Reading(bool GoesOn, params string[] Seen)
{
    public bool Equals(Reading? other) => other is not null && GoesOn == other.GoesOn && Seen.SequenceEqual(other.Seen);

    public override int GetHashCode() => Seen.Length;

    public override string ToString() => $"[{string.Join(" | ", Seen)}]{(GoesOn ? "" : " and the end")}".Replace("\r", "\\r", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
}

/// <summary>Bytes of a client, and what a server may make of them. Behind the bytes stands always one more request, which shows where the server thinks that the next begins.</summary>
internal sealed record Http1Case(string Section, string Name, string Bytes, params Reading[] Allowed)
{
    private const string Next = "GET /next HTTP/1.1\r\nHost: conformance.test\r\nConnection: close\r\n\r\n";

    /// <summary>With what it may be refused.</summary>
    public int[] Statuses { get; init; } = [400];

    public string Title => $"{Section} {Name}";

    /// <summary>No request of it reaches the app, and none behind it.</summary>
    public static Http1Case Refused(string section, string name, string bytes, params int[] statuses) =>
        new(section, name, bytes, new Reading(false)) { Statuses = statuses is [] ? [400] : statuses };

    public static Http1Case Served(string section, string name, string bytes, params string[] seen) => new(section, name, bytes, new Reading(true, seen));

    /// <summary>Served, and then the connection ends.</summary>
    public static Http1Case ServedLast(string section, string name, string bytes, params string[] seen) => new(section, name, bytes, new Reading(false, seen));

    /// <summary>Refused, or served as this and nothing else.</summary>
    public static Http1Case Either(string section, string name, string bytes, params string[] seen) => new(section, name, bytes, new Reading(false), new Reading(true, seen));

    public async Task<(Reading Reading, string Answer)> RunAsync(ITarget target)
    {
        target.App.Forget();
        await using var stream = await target.ConnectAsync();
        try
        {
            await stream.WriteAsync(Encoding.Latin1.GetBytes(Bytes + Next), TestContext.Current.CancellationToken);
        }
        catch (IOException)
        {
            // Refused before all of it was sent.
        }

        var text = await Http1Answers.ReadAsync(stream);
        var answers = Http1Answers.Parse(text);
        var whole = target.App.Received.Where(r => r.Complete).ToList();
        var seen = whole.Where(r => r.Target != "/next").Select(r => $"{r.Method} {r.Target} {r.Body}".TrimEnd(' ')).ToArray();

        // Whatever the case is about: who saw one request at the front must not have two at the back.
        Assert.Equal(answers.Count(a => a.Status == 200), whole.Count);
        Assert.All(answers.SkipLast(1), a => Assert.Equal(200, a.Status));
        return (new Reading(whole.Any(r => r.Target == "/next"), seen), text);
    }

    /// <summary>What a refusal has to look like.</summary>
    public void CheckRefusal(string text)
    {
        if (Http1Answers.Parse(text).LastOrDefault() is { } answer and not { Status: 200 })
        {
            Assert.Contains(answer.Status, Statuses);
        }
    }
}

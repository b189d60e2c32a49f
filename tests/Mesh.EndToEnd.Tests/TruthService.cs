using System.Collections.Concurrent;
using Grpc.Core;
using Mesh.EndToEnd.Tests.Protos;

namespace Mesh.EndToEnd.Tests;

/// <summary>What arrived at the called side, and who waits there.</summary>
internal sealed class TruthCounts
{
    private readonly ConcurrentDictionary<string, int> _attempts = new();
    private readonly ConcurrentDictionary<string, TaskCompletionSource> _hanging = new();

    public int AttemptsOf(string caller) => _attempts.GetValueOrDefault(caller);

    /// <summary>Ends when the call with this text has arrived.</summary>
    public Task HangsAsync(string text) => Hanging(text).Task.WaitAsync(TimeSpan.FromSeconds(60));

    /// <summary>An attempt arrived.</summary>
    /// <returns>It is the first one of its call.</returns>
    public bool Count(ServerCallContext context, string call)
    {
        var caller = context.RequestHeaders.GetValue(TruthService.Caller)!;
        _attempts.AddOrUpdate(caller, 1, (_, n) => n + 1);
        return _attempts.TryAdd($"{caller} {call}", 1);
    }

    public void Hang(string text) => Hanging(text).TrySetResult();

    private TaskCompletionSource Hanging(string text) => _hanging.GetOrAdd(text, _ => new(TaskCreationOptions.RunContinuationsAsynchronously));
}

/// <summary>Ends calls as their first text says: <c>fail</c>, <c>flaky</c> (the first attempt), <c>hang</c> (until its caller gives it up), else well.</summary>
internal sealed class TruthService(TruthCounts counts) : Truth.TruthBase
{
    /// <summary>The header that says who calls.</summary>
    public const string Caller = "who";

    public override async Task<Text> Unary(Text request, ServerCallContext context)
    {
        await BeginAsync(request.Text_, context);
        return request;
    }

    public override async Task Server(Text request, IServerStreamWriter<Text> responses, ServerCallContext context)
    {
        await BeginAsync(request.Text_, context, () => responses.WriteAsync(request));
        for (var i = 0; i < 2; i++)
        {
            await responses.WriteAsync(request);
        }
    }

    public override async Task<Text> Client(IAsyncStreamReader<Text> requests, ServerCallContext context)
    {
        var all = new List<string>();
        await foreach (var request in requests.ReadAllAsync(context.CancellationToken))
        {
            if (all.Count == 0)
            {
                await BeginAsync(request.Text_, context);
            }

            all.Add(request.Text_);
        }

        return new Text { Text_ = string.Join(',', all) };
    }

    public override async Task Bidi(IAsyncStreamReader<Text> requests, IServerStreamWriter<Text> responses, ServerCallContext context)
    {
        var first = true;
        await foreach (var request in requests.ReadAllAsync(context.CancellationToken))
        {
            if (first)
            {
                first = false;
                await BeginAsync(request.Text_, context, () => responses.WriteAsync(request));
            }
            else
            {
                await responses.WriteAsync(request);
            }
        }
    }

    /// <param name="answer">A first answer, before it fails or hangs: its end comes in the trailers then.</param>
    private async Task BeginAsync(string text, ServerCallContext context, Func<Task>? answer = null)
    {
        var first = counts.Count(context, text);
        if (first && text.StartsWith("flaky", StringComparison.Ordinal))
        {
            throw new RpcException(new Status(StatusCode.Unavailable, "at first"));
        }

        if (answer is not null)
        {
            await answer();
        }

        if (text.StartsWith("fail", StringComparison.Ordinal))
        {
            throw new RpcException(new Status(StatusCode.Internal, "as asked"));
        }

        if (text.StartsWith("hang", StringComparison.Ordinal))
        {
            var gone = new TaskCompletionSource();
            await using (context.CancellationToken.Register(gone.SetResult))
            {
                counts.Hang(text);
                await gone.Task;
            }
        }
    }
}

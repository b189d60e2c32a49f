using System.Net;

namespace Mesh.Transparent.Commands;

/// <summary><c>mesh-proxy await</c>: lets a program start when the proxy is ready, and lets the proxy end when the program has.</summary>
internal static class AwaitCommand
{
    private const string Usage = """
        usage: mesh-proxy await [options] [-- command args…]

        Waits until the proxy is ready; then becomes the command, if one is given.

          --timeout TIME   how long to wait (2m)                                    MESH_AWAIT_TIMEOUT
          --url URL        what says that it is ready (http://127.0.0.1:4191/ready) MESH_AWAIT_URL
          --shutdown       run the command as a child, pass signals on to it, and tell the
                           proxy to drain when it has ended: for jobs               MESH_AWAIT_SHUTDOWN

        With MESH_AWAIT_DISABLED=true it waits for nothing and tells the proxy nothing.
        Exit status: the command's own, or 0 ready, 124 not ready in time, 64 not understood, 126 or 127 no such command.
        """;

    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(2);

    public static async Task<int> RunAsync(string[] args, CommandContext context)
    {
        var arguments = new CommandArguments(args, context.Environment, switches: ["--shutdown"], values: ["--timeout", "--url"], takesCommand: true);
        if (arguments.Help)
        {
            await context.Output.WriteLineAsync(Usage).ConfigureAwait(false);
            return ExitCodes.Ok;
        }

        var timeout = arguments.Duration("--timeout", "MESH_AWAIT_TIMEOUT", TimeSpan.FromMinutes(2));
        var shutdown = arguments.Switch("--shutdown", "MESH_AWAIT_SHUTDOWN");
        var disabled = arguments.Switch("", "MESH_AWAIT_DISABLED");
        var url = Url(arguments);
        if (shutdown && arguments.Command.Count == 0)
        {
            arguments.Problem("--shutdown is about the command's end, and there is none. Write it behind --.");
        }

        if (arguments.Problems.Count > 0)
        {
            return await context.FailAsync(ExitCodes.Usage, "await", arguments.Problems).ConfigureAwait(false);
        }

        using var admin = new HttpMessageInvoker(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, UseCookies = false, ConnectTimeout = AnswerTimeout });
        if (!disabled && await WaitAsync(admin, url, timeout, context.Time).ConfigureAwait(false) is { } last)
        {
            return await context.FailAsync(
                ExitCodes.TimedOut,
                "await",
                $"the proxy was not ready after {timeout.TotalSeconds:0.###} s: {url} {last}. Look at the proxy's log; give it longer with --timeout.").ConfigureAwait(false);
        }

        if (arguments.Command.Count == 0)
        {
            return ExitCodes.Ok;
        }

        if (!shutdown || disabled)
        {
            return await Replaced(arguments.Command, context).ConfigureAwait(false);
        }

        var code = await ChildCommand.RunAsync(arguments.Command, context).ConfigureAwait(false);
        await DrainAsync(admin, new Uri(url, "/drain"), context).ConfigureAwait(false);
        return code;
    }

    private static Uri Url(CommandArguments arguments)
    {
        var text = arguments.Text("--url", "MESH_AWAIT_URL") ?? "http://127.0.0.1:4191/ready";
        if (Uri.TryCreate(text, UriKind.Absolute, out var url) && url.Scheme == Uri.UriSchemeHttp)
        {
            return url;
        }

        arguments.Problem($"--url '{text}' is not an http:// URL. Give one such as http://127.0.0.1:4191/ready.");
        return new Uri("http://127.0.0.1:4191/ready");
    }

    /// <returns>Null when it is ready; else what it said last.</returns>
    private static async Task<string?> WaitAsync(HttpMessageInvoker admin, Uri url, TimeSpan timeout, TimeProvider time)
    {
        using var limit = new CancellationTokenSource(timeout, time);
        var last = "did not answer";
        while (true)
        {
            try
            {
                using var answer = CancellationTokenSource.CreateLinkedTokenSource(limit.Token);
                answer.CancelAfter(AnswerTimeout);
                using var request = new HttpRequestMessage(HttpMethod.Get, url);
                using var response = await admin.SendAsync(request, answer.Token).ConfigureAwait(false);
                if (response.StatusCode == HttpStatusCode.OK)
                {
                    return null;
                }

                last = $"answered {(int)response.StatusCode}";
            }
            catch (HttpRequestException exception)
            {
                last = $"did not answer: {exception.Message}";
            }
            catch (OperationCanceledException) when (!limit.IsCancellationRequested)
            {
                last = $"did not answer in {AnswerTimeout.TotalSeconds:0.###} s";
            }
            catch (OperationCanceledException)
            {
                return last;
            }

            try
            {
                await Task.Delay(PollInterval, time, limit.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                return last;
            }
        }
    }

    private static async Task<int> Replaced(IReadOnlyList<string> command, CommandContext context)
    {
        var problem = ProcessImage.Replace(command);
        return await context.FailAsync(problem.ExitCode, "await", problem.Message).ConfigureAwait(false);
    }

    /// <summary>The command has ended as it has, whatever comes of this.</summary>
    private static async Task DrainAsync(HttpMessageInvoker admin, Uri url, CommandContext context)
    {
        try
        {
            using var limit = new CancellationTokenSource(AnswerTimeout, context.Time);
            using var request = new HttpRequestMessage(HttpMethod.Post, url);
            using var response = await admin.SendAsync(request, limit.Token).ConfigureAwait(false);
            if (!response.IsSuccessStatusCode)
            {
                await context.FailAsync(0, "await", $"the proxy was told to drain, and {url} answered {(int)response.StatusCode}: it may go on running.").ConfigureAwait(false);
            }
        }
        catch (Exception exception) when (exception is HttpRequestException or OperationCanceledException)
        {
            await context.FailAsync(0, "await", $"the proxy could not be told to drain at {url}: {exception.Message} It may go on running.").ConfigureAwait(false);
        }
    }
}

namespace Mesh.Cli.Output;

/// <summary>Shows the same again: drawn anew on a terminal, else as lines of JSON.</summary>
internal static class Screen
{
    private static readonly TimeSpan _refresh = TimeSpan.FromSeconds(1);

    /// <param name="form">As asked for.</param>
    /// <param name="watch">Again and again.</param>
    /// <param name="show">Writes once, in the form that it is given.</param>
    public static async Task<int> ShowAsync(CliContext context, string form, bool watch, Func<TextWriter, string, Task> show, CancellationToken cancellationToken)
    {
        if (!watch)
        {
            await show(context.Out, form);
            return ExitCodes.Ok;
        }

        var isDrawn = context.IsTerminal && form is "table" or "wide";
        while (true)
        {
            if (isDrawn)
            {
                // Written at once, so that nothing flickers. Home, and clear what was there (ECMA-48 CUP, ED).
                using var page = new StringWriter { NewLine = context.Out.NewLine };
                await show(page, form);
                await context.Out.WriteAsync("\u001b[H\u001b[2J" + page);
            }
            else
            {
                await show(context.Out, form is "table" or "wide" ? "jsonl" : form);
            }

            await context.Out.FlushAsync(cancellationToken);
            await Task.Delay(_refresh, context.Time, cancellationToken);
        }
    }
}

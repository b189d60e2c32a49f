namespace Mesh.Transparent.Commands;

/// <summary>What a command sees of the world around it.</summary>
/// <param name="Environment">An environment variable by name, or null.</param>
internal sealed record CommandContext(TextWriter Output, TextWriter Errors, Func<string, string?> Environment, TimeProvider Time)
{
    public static CommandContext Real { get; } = new(Console.Out, Console.Error, System.Environment.GetEnvironmentVariable, TimeProvider.System);

    /// <summary>Says what is wrong, line by line, each with the command's name.</summary>
    public async Task<int> FailAsync(int exitCode, string command, params IEnumerable<string> problems)
    {
        foreach (var problem in problems)
        {
            await Errors.WriteLineAsync($"mesh-proxy {command}: {problem}").ConfigureAwait(false);
        }

        return exitCode;
    }
}

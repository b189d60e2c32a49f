using Mesh.Transparent;

return await SidecarProgram.RunAsync(args).ConfigureAwait(false);

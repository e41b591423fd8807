// SPDX-License-Identifier: GPL-3.0-or-later
// A job type for Flamenco 3: the materials of the blocks in .blend files, one task a file. See docs/farm.md.

const JOB_TYPE = {
    label: "Optimize Materials",
    description: "Find the materials with which the blocks of .blend files look most like their cameras' pictures",
    settings: [
        {
            key: "files", type: "string", required: true,
            eval: "'; '.join(sorted(str(p) for p in Path(bpy.data.filepath).parent.glob('*.blend')))",
            evalInfo: { showLinkButton: true, description: "All .blend files beside the open one" },
            description: "The .blend files, with semicolons between them",
        },
        {
            key: "output_folder", type: "string", subtype: "dir_path", required: true,
            description: "Where the results go: a .blend and a folder with a report for each file",
        },
        {
            key: "job_file", type: "string", subtype: "file_path", default: "",
            description: "A job saved from the panel; empty for what each file's own panel says",
        },
    ],
};

function compileJob(job) {
    const settings = job.settings;
    const files = settings.files.split(";").map((file) => file.trim()).filter((file) => file);
    if (!files.length) {
        throw new Error("files: no .blend file is named; name one at least");
    }
    const results = new Map();
    for (const file of files) {
        if (!/\.blend$/i.test(file)) {
            throw new Error(`files: ${file} is no .blend file; leave it out`);
        }
        const name = file.split(/[\\/]/).pop();
        if (results.has(name)) {
            throw new Error(`files: ${file} and ${results.get(name)} would have the same result; make two jobs`);
        }
        results.set(name, file);
    }
    for (const [name, file] of results) {
        job.addTask(taskFor(file, name, settings));
    }
}

// The add-on's own command, so that a file's panel or a job saved from it says all that is to be done.
function taskFor(file, name, settings) {
    const stem = path.join(settings.output_folder, path.stem(name));
    const given = settings.job_file ? ["--job", settings.job_file] : [];
    const task = author.Task(`materials of ${name}`, "blender");
    task.addCommand(author.Command("blender-render", {
        exe: "{blender}",
        exeArgs: "{blenderArgs}",
        argsBefore: [],
        blendfile: file,
        args: ["--command", "optimize_materials", ...given, "--out", `${stem}.blend`, "--report", `${stem}.report`],
    }));
    return task;
}
